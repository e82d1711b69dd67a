package coordtest

import (
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"ivdmover/coordinator/broker"
	"ivdmover/coordinator/broker/brokertest"
	"ivdmover/shared/queue"
)

// Home is the queue's server, which can be started again while others are connected
// to it. As of any server that was, what was in its memory is gone then.
type Home struct {
	Dir string

	mu     sync.Mutex
	server queueServer // guarded by mu; nil while it is away
}

// queueServer is a server of the queue in this process.
type queueServer interface {
	queue.InProcess
	Close()
}

func newHome(t *testing.T) *Home {
	t.Helper()
	h := &Home{Dir: t.TempDir()}
	if err := h.start(func() (queueServer, error) { return broker.Start(t.Context(), broker.Options{Dir: h.Dir}) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.stop)
	return h
}

func (h *Home) start(one func() (queueServer, error)) error {
	s, err := one()
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

// Traffic is that of the broker that is there now.
func (h *Home) Traffic() (broker.Traffic, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.server.(*broker.Server).Traffic()
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
	b.Must(b.Broker.start(func() (queueServer, error) { return broker.Start(b.Context(), broker.Options{Dir: b.Broker.Dir}) }))
}

// RestartForeign is RestartBroker with a server as its operator runs it, which knows
// nothing of us.
func (b *Bench) RestartForeign(meanwhile func(*Home)) {
	b.Helper()
	b.Broker.stop()
	meanwhile(b.Broker)
	b.Must(b.Broker.start(func() (queueServer, error) { return brokertest.Start(b.Broker.Dir) }))
}
