package engine

import (
	"context"
	"iter"
	"log/slog"
	"testing"
	"time"

	"ivdmover/coordinator/admit"
	"ivdmover/coordinator/broker"
	"ivdmover/coordinator/ledger"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
)

// insideEngine is an engine with a queue of its own, whose one kind of run is done
// by a workflow that does nothing.
func insideEngine(t *testing.T) *Engine {
	t.Helper()
	return engineOf(t, startBroker(t))
}

func startBroker(t *testing.T) *broker.Server {
	t.Helper()
	b, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// engineOf is an engine with the queue that is reached so.
func engineOf(t *testing.T, b queue.InProcess) *Engine {
	t.Helper()
	q, err := queue.Connect(t.Context(), queue.Options{InProcess: b, Name: "test", Patience: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	if err := q.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	return outsideQueue(t, q)
}

func outsideQueue(t *testing.T, q *queue.Queue) *Engine {
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	var state *queue.Bucket
	if q != nil {
		state = q.State()
	}
	return New(Deps{
		Queue: q, Leases: leases{}, Ledger: ledger.New(state, log, nil), Fleet: noFleet{}, Log: log, Instance: "one",
		Workflows: map[Kind]Workflow{"idle": idle{}},
	})
}

// idle is a workflow whose items have nothing to do.
type idle struct{}

func (idle) Tokens([]Item) ([]admit.Token, error)                           { return nil, nil }
func (idle) Prepare(context.Context, *Group) error                          { return nil }
func (idle) Plan(context.Context, *Group, *Task) ([]job.Job, error)         { return nil, nil }
func (idle) Finish(context.Context, *Group, map[ItemKey][]job.Record) error { return nil }

// leases are of no repository.
type leases struct{}

func (leases) ID() string      { return "repository" }
func (leases) Root() ivd.KeyID { return ivd.KeyID{} }
func (leases) Now() time.Time  { return time.Now() }
func (leases) OpenLease(_ context.Context, s repo.LeaseSpec) (repo.Lease, error) {
	return repo.Lease{ID: "l", Kind: s.Kind, Deadline: time.Now().Add(time.Hour)}, nil
}
func (leases) CheckLease(context.Context, ivd.LeaseID, time.Duration) error { return nil }
func (leases) EndLease(context.Context, ivd.LeaseID) error                  { return nil }
func (leases) Leases(context.Context) iter.Seq2[repo.StoredLease, error] {
	return func(func(repo.StoredLease, error) bool) {}
}

type noFleet struct{}

func (noFleet) Handles(context.Context, job.Kind) (int, error)             { return 8, nil }
func (noFleet) Holds(context.Context, ivd.RunID, ivd.DiskID) (bool, error) { return false, nil }
func (noFleet) Able(context.Context, job.Kind, job.Record) (bool, error)   { return true, nil }
func (noFleet) Vouched(context.Context, job.Record) error                  { return nil }
func (noFleet) Shortage(context.Context, job.Kind) (why, err error)        { return nil, nil }

// leaseFor is a lease that ends after a while.
func leaseFor(life time.Duration) repo.Lease {
	return repo.Lease{ID: "l", Deadline: time.Now().Add(life)}
}

// taskOf is a task of a run that is driven by nobody.
func taskOf(d *driver, it Item, rev uint64) *Task {
	g := &Group{d: d, log: d.log, wake: make(chan struct{}, 1)}
	t := &Task{g: g, item: it, rev: rev, log: d.log}
	g.Tasks = []*Task{t}
	return t
}
