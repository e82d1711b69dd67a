package coordtest

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"ivdmover/coordinator/broker"
)

// Home is the queue's server, which can be started again while others are connected
// to it. As of any server that was, what was in its memory is gone then.
type Home struct {
	Dir string

	mu     sync.Mutex
	server *broker.Server // guarded by mu; nil while it is away
}

func newHome(t *testing.T) *Home {
	t.Helper()
	h := &Home{Dir: t.TempDir()}
	if err := h.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.stop)
	return h
}

func (h *Home) start(ctx context.Context) error {
	s, err := broker.Start(ctx, broker.Options{Dir: h.Dir})
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.server = s
	return nil
}

func (h *Home) stop() {
	h.mu.Lock()
	s := h.server
	h.server = nil
	h.mu.Unlock()
	if s != nil {
		s.Close()
	}
}

// InProcessConn connects to the server that is there now.
func (h *Home) InProcessConn() (net.Conn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.server == nil {
		return nil, errors.New("the queue's server is away")
	}
	return h.server.InProcessConn()
}

// Token is that of the server that is there now.
func (h *Home) Token() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.server == nil {
		return ""
	}
	return h.server.Token()
}

// Traffic is that of the server that is there now.
func (h *Home) Traffic() (broker.Traffic, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.server.Traffic()
}

// StreamDir is where the server keeps one of its streams.
func (h *Home) StreamDir(stream string) string {
	return filepath.Join(h.Dir, "jetstream", "$G", "streams", stream)
}

// RestartBroker ends the queue's server and starts it again; meanwhile something is
// done to its files.
func (b *Bench) RestartBroker(meanwhile func(*Home)) {
	b.Helper()
	b.Broker.stop()
	meanwhile(b.Broker)
	b.Must(b.Broker.start(b.Context()))
}
