package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"ivdmover/shared/ivd"
)

// drain is how long requests under way may take when the server ends.
const drain = 5 * time.Second

// Options say where a server listens and whom it lets in.
type Options struct {
	Listen     string // host:port; empty: DefaultListen
	CertFile   string // with KeyFile: TLS, without which only loopback listens
	KeyFile    string
	Token      ivd.Secret // a bearer token that is let in
	TokensFile string     // more, one a line; needed off loopback
	Log        *slog.Logger
}

// Server answers the API. It listens from Open on, and answers in Serve.
type Server struct {
	listener net.Listener
	http     *http.Server
	stopping context.Context
	stop     context.CancelFunc // ends the streams of events
	scheme   string
	routes   atomic.Pointer[routes]
}

// Open checks the options and listens.
func Open(o Options, rooms Rooms) (*Server, error) {
	s, err := open(o)
	if err == nil {
		s.Answer(rooms)
	}
	return s, err
}

func open(o Options) (*Server, error) {
	if o.Listen == "" {
		o.Listen = DefaultListen
	}
	known, err := o.tokens()
	if err != nil {
		return nil, err
	}
	config, err := o.tls()
	if err != nil {
		return nil, err
	}
	if err := o.check(config != nil); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Exists, Op: "listen for the API", Err: err, Remedy: "end what listens there, or set another api.listen"}
	}
	stopping, stop := context.WithCancel(context.Background())
	s := &Server{listener: listener, stopping: stopping, stop: stop, scheme: "http"}
	s.Waits(errStarting)
	s.http = &http.Server{
		Handler:           guard(known, isLoopback(o.Listen), http.HandlerFunc(s.answerNow)),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		TLSConfig:         config,
	}
	if o.Log != nil {
		s.http.ErrorLog = slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)
	}
	if config != nil {
		s.scheme = "https"
	}
	return s, nil
}

// Check reports what is wrong with the options, the files included that they name.
// Whose token `ivd serve` makes itself is let in in any case.
func (o Options) Check() error {
	if o.Listen == "" {
		o.Listen = DefaultListen
	}
	if o.TokensFile != "" {
		if _, err := readTokens(o.TokensFile); err != nil {
			return err
		}
	}
	config, err := o.tls()
	if err != nil {
		return err
	}
	return o.check(config != nil)
}

// tokens are those that are let in. There is at least one.
func (o Options) tokens() (known tokens, err error) {
	if o.TokensFile != "" {
		if known, err = readTokens(o.TokensFile); err != nil {
			return nil, err
		}
	}
	if known = known.add(o.Token); len(known) == 0 {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: "api", Err: errors.New("no token is let in"), Remedy: "set api.tokens_file"}
	}
	return known, nil
}

func (o Options) tls() (*tls.Config, error) {
	if o.CertFile == "" && o.KeyFile == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: "api.tls", Err: err, Remedy: "give cert_file and key_file of one pair, in PEM"}
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// check refuses what would let strangers in.
func (o Options) check(encrypted bool) error {
	if _, _, err := net.SplitHostPort(o.Listen); err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Op: "api.listen", Err: err, Remedy: "give host:port, such as " + DefaultListen}
	}
	if isLoopback(o.Listen) {
		return nil
	}
	if !encrypted {
		return &ivd.Error{Kind: ivd.Invalid, Op: "api.listen " + o.Listen, Err: errors.New("not a loopback address, and no TLS"), Remedy: "set api.tls, or listen on " + DefaultListen}
	}
	if o.TokensFile == "" {
		return &ivd.Error{Kind: ivd.Invalid, Op: "api.listen " + o.Listen, Err: errors.New("not a loopback address, and no tokens"), Remedy: "set api.tokens_file, or listen on " + DefaultListen}
	}
	return nil
}

// URL is the address under which the server is reached.
func (s *Server) URL() string { return s.scheme + "://" + s.listener.Addr().String() }

// Serve answers until ctx ends, then lets requests under way finish. It returns
// nil when that was the reason to end.
func (s *Server) Serve(ctx context.Context) error {
	ended := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		defer close(ended)
		s.stop()
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		if s.http.Shutdown(short) != nil {
			_ = s.http.Close()
		}
	})()
	var err error
	if s.scheme == "https" {
		err = s.http.ServeTLS(s.listener, "", "")
	} else {
		err = s.http.Serve(s.listener)
	}
	if ctx.Err() != nil && errors.Is(err, http.ErrServerClosed) {
		<-ended
		return nil
	}
	s.stop()
	return fmt.Errorf("serve the API: %w", err)
}

// Close stops listening without waiting for anybody; for a server that is never
// served.
func (s *Server) Close() error {
	s.stop()
	return errors.Join(s.http.Close(), ignoreClosed(s.listener.Close()))
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
