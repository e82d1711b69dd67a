package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ivdmover/coordinator/broker"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/soak"
)

func TestMain(m *testing.M) {
	soak.Checks(20) // each is a hundred requests that are synced to the disk
	goleak.VerifyTestMain(m)
}

// house is an embedded server that can go away and come back on its files.
type house struct {
	t   *testing.T
	dir string

	mu     sync.Mutex
	server *broker.Server
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir()}
	h.start()
	t.Cleanup(h.stop)
	return h
}

func (h *house) start() {
	h.t.Helper()
	s, err := broker.Start(h.t.Context(), broker.Options{Dir: h.dir})
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.server = s
}

func (h *house) stop() {
	h.mu.Lock()
	s := h.server
	h.server = nil
	h.mu.Unlock()
	if s != nil {
		s.Close()
	}
}

// InProcessConn connects to the server that is there now.
func (h *house) InProcessConn() (net.Conn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.server == nil {
		return nil, errors.New("the server is away")
	}
	return h.server.InProcessConn()
}

// Token is that of the server that is there now.
func (h *house) Token() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.server == nil {
		return ""
	}
	return h.server.Token()
}

func (h *house) connect(o queue.Options) *queue.Queue {
	h.t.Helper()
	o.InProcess = h
	o.Name = h.t.Name()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	q, err := queue.Connect(h.t.Context(), o)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(q.Close)
	if err := q.Setup(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	return q
}

// within is a context for what must happen soon.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, kind ivd.Kind) {
	t.Helper()
	if err == nil || ivd.KindOf(err) != kind {
		t.Fatalf("error %v of kind %q, want kind %q", err, ivd.KindOf(err), kind)
	}
}

const (
	testRun  ivd.RunID  = "20260101t000000z-00000001"
	testDisk ivd.DiskID = "11111111-2222-3333-4444-555555555555"
)

func testJob(id ivd.JobID) job.Job {
	return job.Job{
		Version: job.Version, Kind: job.Backup, Class: job.AnyClass, ID: id, Run: testRun,
		Disk: job.IVD(ivd.NewDiskRef("lab", "datastore-1", testDisk)),
	}
}

func testRecord(id ivd.JobID) job.Record {
	return job.Record{Version: job.Version, ID: id, Run: testRun, Disk: testDisk, State: job.Queued}
}
