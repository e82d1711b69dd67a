package broker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/socket"
)

// relay connects the processes that come by a socket with the server, to which they
// are connections within the process.
type relay struct {
	listener *socket.Listener
	inside   func() (net.Conn, error)
	log      *slog.Logger
	ctx      context.Context // ends with close
	end      context.CancelFunc

	mu    sync.Mutex
	open  map[net.Conn]bool // those that came; nil after close
	tasks sync.WaitGroup
}

func openRelay(path string, inside func() (net.Conn, error), log *slog.Logger) (*relay, error) {
	l, err := socket.Listen(path)
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Permanent, Op: "open the queue's socket", Err: err, Remedy: "check state_dir and its rights"}
	}
	r := &relay{listener: l, inside: inside, log: log, open: map[net.Conn]bool{}}
	r.ctx, r.end = context.WithCancel(context.Background())
	r.tasks.Go(r.accept)
	return r, nil
}

func (r *relay) accept() {
	for {
		c, err := r.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // too many open files, most likely
			r.log.Warn("a connection to the queue's socket failed", "error", err)
			if pause.For(r.ctx, time.Second) != nil {
				return
			}
			continue
		}
		if !r.take(c) {
			_ = c.Close() // nobody was told anything
			return
		}
		r.tasks.Go(func() { r.carry(c) })
	}
}

func (r *relay) take(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		return false
	}
	r.open[c] = true
	return true
}

// carry carries bytes both ways until one of the two sides ends.
func (r *relay) carry(c net.Conn) {
	defer func() {
		r.mu.Lock()
		delete(r.open, c)
		r.mu.Unlock()
	}()
	in, err := r.inside()
	if err != nil {
		_ = c.Close()
		return // the server is ending
	}
	var both sync.WaitGroup
	for _, way := range [2][2]net.Conn{{c, in}, {in, c}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // each side finds out by itself that the other is gone
			_, _ = c.Close(), in.Close()
		})
	}
	both.Wait()
}

// close ends all connections and waits for that.
func (r *relay) close() {
	r.end()
	if err := r.listener.Close(); err != nil {
		r.log.Warn("closing the queue's socket failed", "error", err)
	}
	r.mu.Lock()
	for c := range r.open {
		_ = c.Close()
	}
	r.open = nil
	r.mu.Unlock()
	r.tasks.Wait()
}
