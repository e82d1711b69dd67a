// Package broker runs the NATS server that is embedded in `ivd serve`: JetStream
// on files below one folder, reached within the process and, where it is asked
// for, over a loopback listener.
//
// What it promises: what it acknowledged is on the disk, so it survives the kill
// of the process and a loss of power; one folder is used by one process; its
// listener is on loopback only, since neither TLS nor credentials protect it.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"ivdmover/shared/ivd"
)

// startLimit is how long the server may take to read its files, when the
// context of Start has no earlier deadline.
const startLimit = 2 * time.Minute

// Options of a server.
type Options struct {
	Dir    string // its files; made when it is not there
	Listen string // "127.0.0.1:4222", port 0 picks one; empty: within the process only
	Logger *slog.Logger
}

// Server is a server that runs.
type Server struct {
	ns   *server.Server
	lock *os.File
}

// Start runs a server and returns when it answers. Close ends it.
func Start(ctx context.Context, o Options) (*Server, error) {
	opts, err := serverOptions(o)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start the queue's server: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{lock: lock}
	log := newLog(o.Logger)
	if s.ns, err = server.NewServer(opts); err != nil {
		return nil, errors.Join(startError(o, err), lock.Close())
	}
	s.ns.SetLogger(log, false, false)
	if err := s.start(ctx, log); err != nil {
		s.Close()
		return nil, startError(o, err)
	}
	return s, nil
}

// start waits for what the library can only be asked about.
func (s *Server) start(ctx context.Context, log *log) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	ready := make(chan struct{})
	go func() { // ends with Start's return, at the latest when Close shuts the server down
		s.ns.Start()
		close(ready)
	}()
	select {
	case <-ready:
	case err := <-log.fatal:
		return err
	case <-ctx.Done():
		return fmt.Errorf("it is not ready: %w", ctx.Err())
	}
	if err := log.started(); err != nil {
		return err
	}
	if !s.ns.ReadyForConnections(10 * time.Second) {
		return errors.New("it does not accept connections")
	}
	return nil
}

func serverOptions(o Options) (*server.Options, error) {
	opts := &server.Options{
		ServerName: "ivd",
		StoreDir:   o.Dir,
		JetStream:  true,
		SyncAlways: true, // see the package's promise; some thousand messages a second remain
		MaxPayload: 1 << 20,
		NoSigs:     true, // signals are the program's
		DontListen: o.Listen == "",
	}
	if o.Listen == "" {
		return opts, nil
	}
	host, port, err := splitListen(o.Listen)
	if err != nil {
		return nil, err
	}
	opts.Host, opts.Port = host, port
	if port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	return opts, nil
}

// splitListen refuses an address that others than this machine could reach.
func splitListen(listen string) (host string, port int, err error) {
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
	if addr, err := netip.ParseAddr(host); err != nil || !addr.IsLoopback() {
		return "", 0, &ivd.Error{
			Kind:   ivd.Unsupported,
			Op:     op,
			Err:    errors.New("not a loopback address; TLS and credentials of the embedded queue are not built yet"),
			Remedy: "listen on 127.0.0.1, or set queue.url to a NATS server that has TLS and credentials",
		}
	}
	return host, port, nil
}

func startError(o Options, err error) error {
	return &ivd.Error{
		Kind:   ivd.Permanent,
		Op:     "start the queue's server in " + o.Dir,
		Err:    err,
		Remedy: "check that this folder can be written, that its disk has space and that queue.listen is free",
	}
}

// ClientURL is where other processes of this machine reach the server; empty
// when it does not listen.
func (s *Server) ClientURL() string {
	if s.ns.Addr() == nil {
		return ""
	}
	return s.ns.ClientURL()
}

// InProcessConn makes a connection within the process, for package queue.
func (s *Server) InProcessConn() (net.Conn, error) { return s.ns.InProcessConn() }

// Close shuts the server down, waits for it and frees its folder.
func (s *Server) Close() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
	_ = s.lock.Close() // frees the lock; the file was never written
}
