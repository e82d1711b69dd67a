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
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"ivdmover/shared/ivd"
)

// startLimit is how long the server may take to read its files, unless the context of
// Start ends earlier.
const startLimit = 2 * time.Minute

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
	ns     *server.Server
	access *access
	creds  string
	lock   *os.File
	relay  *relay // nil: there is no socket
}

// Start starts a server and returns when it answers. The caller must call Close.
func Start(ctx context.Context, o Options) (*Server, error) {
	opts, err := serverOptions(o)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start the embedded queue: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{lock: lock, creds: cmp.Or(o.Creds, o.Dir)}
	if err := distrustIndex(o.Dir); err != nil {
		return nil, errors.Join(startError(o, err), lock.Close())
	}
	log := newLog(o.Logger)
	if s.access, err = newAccess(s.creds, log.to); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	opts.CustomClientAuthentication, opts.AlwaysEnableNonce = s.access, true
	if s.ns, err = server.NewServer(opts); err != nil {
		return nil, errors.Join(startError(o, err), lock.Close())
	}
	s.ns.SetLogger(log, false, false)
	if err := s.start(ctx, log); err != nil {
		s.Close()
		return nil, startError(o, err)
	}
	if o.Socket != "" {
		if s.relay, err = openRelay(o.Socket, s.ns.InProcessConn, log.to); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
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
func (s *Server) start(ctx context.Context, log *log) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	ready := make(chan struct{})
	go func() { // ends before Start returns, or when Close shuts the server down
		s.ns.Start()
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
	if !s.ns.ReadyForConnections(10 * time.Second) {
		return errors.New("it accepts no connections")
	}
	return nil
}

func serverOptions(o Options) (*server.Options, error) {
	opts := &server.Options{
		ServerName: "ivd",
		StoreDir:   o.Dir,
		JetStream:  true,
		SyncAlways: true, // see the package comment; some thousand messages a second remain
		MaxPayload: 1 << 20,
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
	return &ivd.Error{
		Kind:   ivd.Permanent,
		Op:     "start the embedded queue in " + o.Dir,
		Err:    err,
		Remedy: "check that the folder is writable, that its disk has space and that nothing else listens on queue.listen",
	}
}

// ClientURL returns where the server listens. It is empty when there is no port.
func (s *Server) ClientURL() string {
	if s.ns.Addr() == nil {
		return ""
	}
	return s.ns.ClientURL()
}

// InProcessConn opens a connection within the process, for package queue.
func (s *Server) InProcessConn() (net.Conn, error) { return s.ns.InProcessConn() }

// Traffic counts what the server has received and sent since its start: what a program
// costs it.
type Traffic struct{ Messages, Bytes int64 }

// Traffic is the server's so far.
func (s *Server) Traffic() (Traffic, error) {
	v, err := s.ns.Varz(nil)
	if err != nil {
		return Traffic{}, fmt.Errorf("ask the queue's server for its counts: %w", err)
	}
	return Traffic{Messages: v.InMsgs + v.OutMsgs, Bytes: v.InBytes + v.OutBytes}, nil
}

// Token lets a connection of this process in, with all rights.
func (s *Server) Token() string { return s.access.token }

// MoverCreds is the file that lets movers in at the listener.
func (s *Server) MoverCreds() string { return filepath.Join(s.creds, moverCreds) }

// CoordinatorCreds is the file that lets another coordinator in, at the listener and at
// the socket.
func (s *Server) CoordinatorCreds() string { return filepath.Join(s.creds, coordinatorCreds) }

// Close shuts the server down, waits for its end and unlocks its folder.
func (s *Server) Close() {
	if s.relay != nil {
		s.relay.close()
		s.relay = nil
	}
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
	_ = s.lock.Close() // unlocks; nothing was written to the file
}
