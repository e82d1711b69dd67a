// Package broker runs the NATS server that is embedded in `ivd serve`: JetStream
// with its files below one folder, reached within the process, by the movers of the
// same user over a unix socket, and, optionally, over a loopback listener.
//
// What it has acknowledged is on the disk and survives a kill of the process and a
// loss of power. One process at a time uses the folder. Nobody gets in unknown: who
// comes as a mover may do what a mover of his name needs, and no more. Off loopback
// everything is encrypted.
package broker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"ivdmover/shared/ivd"
)

// startLimit is how long the server may take to read its files, unless the context of
// Start ends earlier.
const startLimit = 2 * time.Minute

// maxPayload is the largest message, in bytes.
const maxPayload = 1 << 20

// Options say where a server keeps its files and where it listens.
type Options struct {
	Dir    string // of its files; created when missing
	Socket string // of the movers on this machine, in a folder that is closed to others; empty: none
	Listen string // "127.0.0.1:4222", port 0 picks one; empty: there is no port
	Creds  string // the folder for the credentials of those who come from outside; empty: Dir

	CertFile, KeyFile string // of the listener's TLS, without which it is on loopback only

	Logger *slog.Logger
}

// Server is a running server.
type Server struct {
	options Options
	log     *log
	access  *access
	creds   string
	lock    *os.File
	relay   *relay // nil: there is no socket
	port    int    // where it listened before; 0: as the options say

	guarding sync.WaitGroup
	unguard  context.CancelFunc

	mu      sync.Mutex
	ns      *server.Server // guarded by mu: it is replaced by the guard
	trouble error          // guarded by mu
}

// server is the one that runs now.
func (s *Server) server() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ns
}

// Start starts a server and returns when it answers. The caller must call Close.
func Start(ctx context.Context, o Options) (*Server, error) {
	if _, err := serverOptions(o); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start the embedded queue: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, lock: lock, creds: cmp.Or(o.Creds, o.Dir), log: newLog(o.Logger), unguard: func() {}}
	if s.access, err = newAccess(s.creds, s.log.to); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := s.launch(ctx); err != nil {
		s.Close()
		return nil, err
	}
	if o.Socket != "" {
		if s.relay, err = openRelay(o.Socket, s.InProcessConn, s.log.to); err != nil {
			s.Close()
			return nil, err
		}
	}
	var guarded context.Context
	guarded, s.unguard = context.WithCancel(context.Background())
	s.guarding.Go(func() { s.guard(guarded) })
	return s, nil
}

// launch starts the server proper.
func (s *Server) launch(ctx context.Context) error {
	opts, err := serverOptions(s.options)
	if err != nil {
		return err
	}
	if s.port != 0 {
		opts.Port = s.port
	}
	opts.CustomClientAuthentication, opts.AlwaysEnableNonce = s.access, true
	if err := distrustIndex(s.options.Dir); err != nil {
		return startError(s.options, err)
	}
	ns, err := server.NewServer(opts)
	if err != nil {
		return startError(s.options, err)
	}
	s.mu.Lock()
	s.ns = ns
	s.mu.Unlock()
	s.log.starting()
	ns.SetLogger(s.log, false, false)
	if err := start(ctx, ns, s.log); err != nil {
		return startError(s.options, err)
	}
	return nil
}

// distrustIndex removes what the server keeps of its streams beside their messages: so
// it reads each message, and drops those that are damaged. It would find them later
// otherwise, and serve the stream no more.
func distrustIndex(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "msgs", "index.db"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	return nil
}

// start waits until the server answers, or has failed.
func start(ctx context.Context, ns *server.Server, log *log) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	ready := make(chan struct{})
	go func() { // ends before Start returns, or when Close shuts the server down
		ns.Start()
		close(ready)
	}()
	select {
	case <-ready:
	case err := <-log.fatal:
		return err
	case <-ctx.Done():
		return fmt.Errorf("not ready in time: %w", ctx.Err())
	}
	if err := log.started(); err != nil {
		return err
	}
	if !ns.ReadyForConnections(10 * time.Second) {
		return errors.New("it accepts no connections")
	}
	return nil
}

// Check reads what Start reads before it listens.
func Check(o Options) error {
	_, err := serverOptions(o)
	return err
}

func serverOptions(o Options) (*server.Options, error) {
	opts := &server.Options{
		ServerName: "ivd",
		StoreDir:   o.Dir,
		JetStream:  true,
		SyncAlways: true, // see the package comment; some thousand messages a second remain
		MaxPayload: maxPayload,
		NoSigs:     true, // the program handles signals
		DontListen: o.Listen == "",
	}
	if o.Listen == "" {
		return opts, nil
	}
	host, port, err := splitListen(o.Listen, o.CertFile != "")
	if err != nil {
		return nil, err
	}
	if o.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, &ivd.Error{Kind: ivd.Invalid, Op: "queue.tls", Err: err, Remedy: "give cert_file and key_file of one pair, in PEM"}
		}
		opts.TLS, opts.TLSConfig = true, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	opts.Host, opts.Port = host, port
	if port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	return opts, nil
}

// splitListen refuses an address that other machines could reach, unless it is encrypted.
func splitListen(listen string, encrypted bool) (host string, port int, err error) {
	op := fmt.Sprintf("queue.listen %q", listen)
	host, p, err := net.SplitHostPort(listen)
	if err == nil {
		var n uint64
		n, err = strconv.ParseUint(p, 10, 16)
		port = int(n)
	}
	if err != nil {
		return "", 0, &ivd.Error{Kind: ivd.Invalid, Op: op, Err: err, Remedy: "write an address and a port, as in 127.0.0.1:4222"}
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if addr, err := netip.ParseAddr(host); (err != nil || !addr.IsLoopback()) && !encrypted {
		return "", 0, &ivd.Error{
			Kind:   ivd.Invalid,
			Op:     op,
			Err:    errors.New("not a loopback address, and no TLS"),
			Remedy: "set queue.tls, or listen on 127.0.0.1",
		}
	}
	return host, port, nil
}

func startError(o Options, err error) error {
	kind := ivd.Permanent
	if isFull(err.Error()) {
		kind = ivd.Transient
	}
	return &ivd.Error{
		Kind:   kind,
		Op:     "start the embedded queue in " + o.Dir,
		Err:    err,
		Remedy: "check that the folder is writable, that its disk has space and that nothing else listens on queue.listen",
	}
}

// ClientURL returns where the server listens. It is empty when there is no port.
func (s *Server) ClientURL() string {
	ns := s.server()
	if ns.Addr() == nil {
		return ""
	}
	return ns.ClientURL()
}

// InProcessConn opens a connection within the process, for package queue.
func (s *Server) InProcessConn() (net.Conn, error) { return s.server().InProcessConn() }

// Traffic counts what the server has received and sent since its start: what a program
// costs it.
type Traffic struct{ Messages, Bytes int64 }

// Traffic is the server's so far.
func (s *Server) Traffic() (Traffic, error) {
	v, err := s.server().Varz(nil)
	if err != nil {
		return Traffic{}, fmt.Errorf("ask the queue's server for its counts: %w", err)
	}
	return Traffic{Messages: v.InMsgs + v.OutMsgs, Bytes: v.InBytes + v.OutBytes}, nil
}

// Token lets a connection of this process in, with all rights.
func (s *Server) Token() string { return s.access.token }

// MoverCreds is the file that lets a mover in at the listener.
func (s *Server) MoverCreds(name string) (string, error) { return MoverCreds(s.creds, name) }

// CoordinatorCreds is the file that lets another coordinator in, at the listener and at
// the socket.
func (s *Server) CoordinatorCreds() string { return filepath.Join(s.creds, coordinatorCreds) }

// Close shuts the server down, waits for its end and unlocks its folder.
func (s *Server) Close() {
	s.unguard()
	s.guarding.Wait()
	if s.relay != nil {
		s.relay.close()
		s.relay = nil
	}
	if ns := s.server(); ns != nil {
		ns.Shutdown()
		ns.WaitForShutdown()
	}
	_ = s.lock.Close() // unlocks; nothing was written to the file
}
