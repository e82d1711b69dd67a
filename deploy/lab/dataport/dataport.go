// Package dataport stands for the port 902 of ESXi hosts and for the tickets that
// a vCenter hands out for it: blocks of disks and snapshots over TLS, and the calls
// that forbid and allow relocation.
//
// A client asks the vCenter's own port for a ticket with a live login, then
// presents it once, within half a minute, on the data port. The wire is documented
// in docs/laboratory.md. Every length is checked before it is believed. The
// package knows the estate, and of vSphere only what Front tells it.
package dataport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"ivdmover/deploy/lab/estate"
)

// Front is the vCenter as the data port needs it.
type Front interface {
	Authenticate(user, password string) bool
	Live(cookie string) bool
	Datastore(moid string) (name string, ok bool)
	Machine(moid string) (name string, ok bool)
	Prepare(datastore string, a estate.Access, refusing []string) error
	End(a estate.Access) error
}

// Options of a data port.
type Options struct {
	Dir         string // the laboratory's folder, absolute: clients of this machine are told
	Estate      *estate.Estate
	Front       Front
	Listen      string
	Host        string // that clients are told; empty: see address
	Certificate tls.Certificate
	Thumbprint  string
	Log         *slog.Logger
}

// Port serves until it is closed.
type Port struct {
	o        Options
	listener net.Listener
	tickets  tickets
	limits   limits
	work     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil once the port is closed
}

// Start begins to listen.
func Start(ctx context.Context, o Options) (*Port, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for data: %w", err)
	}
	p := &Port{o: o, listener: l, conns: map[net.Conn]struct{}{}, tickets: tickets{live: map[string]ticket{}}}
	p.work.Go(p.accept)
	return p, nil
}

// Close ends all connections and waits for them.
func (p *Port) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	for c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
	p.mu.Unlock()
	p.work.Wait()
	return err
}

// address is where clients are sent. Where the port listens on every address, it
// is the one that the client has called the vCenter by.
func (p *Port) address(called string) (host string, port int) {
	a := p.listener.Addr().(*net.TCPAddr)
	if p.o.Host != "" {
		return p.o.Host, a.Port
	}
	if !a.IP.IsUnspecified() {
		return a.IP.String(), a.Port
	}
	if h, _, err := net.SplitHostPort(called); err == nil {
		called = h
	}
	return strings.Trim(called, "[]"), a.Port
}

func (p *Port) accept() {
	config := &tls.Config{Certificates: []tls.Certificate{p.o.Certificate}, MinVersion: tls.VersionTLS12}
	for {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			p.o.Log.Warn("data port cannot accept", "err", err)
			return
		}
		if !p.add(c) {
			_ = c.Close()
			return
		}
		p.work.Go(func() {
			defer p.drop(c)
			p.serve(tls.Server(c, config))
		})
	}
}

func (p *Port) add(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Port) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

const handshakeTime = 10 * time.Second

func (p *Port) serve(c *tls.Conn) {
	_ = c.SetDeadline(time.Now().Add(handshakeTime))
	if err := c.Handshake(); err != nil {
		p.o.Log.Debug("data port: no TLS", "peer", c.RemoteAddr().String(), "err", err)
		return
	}
	_ = c.SetDeadline(time.Time{})
	s := &session{p: p, conn: c, gone: make(chan struct{})}
	defer s.end()
	if err := s.run(); err != nil {
		p.o.Log.Debug("data port: connection ends", "peer", c.RemoteAddr().String(), "err", err)
	}
}
