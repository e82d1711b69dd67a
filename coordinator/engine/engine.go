// Package engine drives runs of any kind: it admits groups of items, has their
// workflow prepare and plan them, publishes their jobs, follows the movers'
// checkpoints, has the workflow finish them, and cleans up.
//
// What it promises: a step is stored before what it names is begun, and only a
// run's owner stores it, by compare-and-swap; whatever dies, the next start, or
// another coordinator, goes on from the step that is stored. What the ledger has of
// an item is undone when the item ends, whichever way. A failed item does not fail
// the run, only its group.
//
// It knows jobs, leases, admission and the ledger, and neither vCenters nor points:
// those are the workflows'.
package engine

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"ivdmover/coordinator/admit"
	"ivdmover/coordinator/ledger"
	"ivdmover/coordinator/witness"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
)

// Leases opens and ends the leases of runs; a repository does.
type Leases interface {
	ID() string      // of the repository
	Root() ivd.KeyID // of an encrypted repository; zero: it is plain
	Now() time.Time  // by the store's clock
	OpenLease(ctx context.Context, s repo.LeaseSpec) (repo.Lease, error)
	CheckLease(ctx context.Context, id ivd.LeaseID, need time.Duration) error
	EndLease(ctx context.Context, id ivd.LeaseID) error
	Leases(ctx context.Context) iter.Seq2[repo.StoredLease, error]
}

// Fleet tells of the movers.
type Fleet interface {
	Handles(ctx context.Context, k job.Kind) (int, error)                             // disks that those can hold which take such jobs
	Holds(ctx context.Context, run ivd.RunID, disk ivd.DiskID) (held bool, err error) // whether one works on a disk
	Vouched(ctx context.Context, rec job.Record) error                                // refuses a checkpoint that no mover signed (kind Denied)
	Able(ctx context.Context, k job.Kind, rec job.Record) (bool, error)               // whether one takes such jobs that has not found that it cannot do this one
	Shortage(ctx context.Context, k job.Kind) (why, err error)                        // why no mover takes such jobs; nil: one does
}

// Deps are what an Engine works with. It owns none of them.
type Deps struct {
	Queue     *queue.Queue
	Leases    Leases
	Ledger    *ledger.Ledger
	Fleet     Fleet
	Witness   *witness.Witness // nil: what the queue loses is not noticed
	Workflows map[Kind]Workflow

	// Instance names this coordinator and is the same after a restart; whoever
	// starts under it is alone (its state folder is locked).
	Instance string
	Log      *slog.Logger
	Now      func() time.Time // nil: time.Now
}

// Engine drives the runs that this coordinator owns. Its methods are safe for
// concurrent use.
type Engine struct {
	Deps
	start string // names this start of the instance
	gate  *gate
	short map[job.Kind]*shortage // of movers that take such jobs

	unnoted atomic.Bool // the witness could not be written

	mu      sync.Mutex
	drivers map[ivd.RunID]*driver // guarded by mu
	life    context.Context       // of Serve; set before begun is closed
	begun   chan struct{}         // closed when Serve is at work
	group   sync.WaitGroup        // the drivers

	seen map[ivd.RunID]beat // owned by adopt: what runs looked like that we do not drive
}

// Causes of a driver's end, told apart by what is left to do.
var (
	errShutdown  = errors.New("the coordinator is shutting down")
	errTakenOver = &ivd.Error{Kind: ivd.Permanent, Err: errors.New("another coordinator has taken the run over")}
	errCancelled = &ivd.Error{Kind: ivd.Cancelled, Err: errors.New("cancelled on request")}
)

// How often things are looked at. All of them only bound how long something
// unusual goes unnoticed.
const (
	beatEvery    = 5 * time.Second
	countEvery   = time.Second      // the movers' handles
	noteEvery    = 10 * time.Second // what others have stored in the queue
	leaseEvery   = 10 * time.Second // the run's lease
	lookEvery    = 3 * time.Second  // for runs without an owner, ledger entries without a run
	silentOwner  = 15 * time.Second // after which a run is taken over, by our own clock
	sweepFirst   = time.Minute      // after the start
	sweepEvery   = time.Hour
	recordsEvery = time.Minute // for jobs whose change was not told
	letGoTimeout = time.Minute // for movers to close the handles of a stopped disk
)

// New makes an Engine; Serve starts it.
func New(d Deps) *Engine {
	if d.Now == nil {
		d.Now = time.Now
	}
	e := &Engine{
		Deps:    d,
		start:   uuid.NewString(),
		gate:    newGate(admit.Limits{}),
		short:   map[job.Kind]*shortage{job.Backup: {}, job.Restore: {}},
		drivers: map[ivd.RunID]*driver{},
		begun:   make(chan struct{}),
		seen:    map[ivd.RunID]beat{},
	}
	d.Ledger.SetOwners(e.itemOver)
	if d.Witness != nil {
		d.Queue.State().Observe(e.observe)
	}
	return e
}

// Limit says how many disks of a source may be under way at once, on each datastore and
// through each host. A source of which nothing is said has no limit.
func (e *Engine) Limit(source ivd.SourceID, datastore, host int) {
	e.gate.limit(source, datastore, host)
}

// Serve takes up the runs that this instance left and drives runs until ctx ends.
// What is under way then is left as it is stored, for the next start.
func (e *Engine) Serve(ctx context.Context) {
	life, end := context.WithCancelCause(ctx)
	for !e.recalled(ctx) && pause.For(ctx, lookEvery) == nil { // a run that begins now is not one that is lost
	}
	e.begin(life)
	e.watchOver(life)
	e.mu.Lock() // from here on drive starts nothing
	end(errShutdown)
	e.mu.Unlock()
	e.group.Wait()
}

// begin lets runs begin.
func (e *Engine) begin(life context.Context) {
	e.life = life
	close(e.begun)
}

// Serving waits until Serve is at work: without it no run can begin. Kind
// Transient: it has ended.
func (e *Engine) Serving(ctx context.Context) error {
	select {
	case <-e.begun:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if e.life.Err() != nil {
		return &ivd.Error{Kind: ivd.Transient, Err: errShutdown, Remedy: "ask again when it is back"}
	}
	return nil
}

// drive starts the goroutine that drives a run which is stored as ours. Once the
// coordinator is shutting down it leaves the run to the next start.
func (e *Engine) drive(d *driver) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.life.Err() != nil {
		return
	}
	e.drivers[d.id] = d
	e.group.Go(func() {
		d.drive(e.life)
		e.mu.Lock()
		delete(e.drivers, d.id)
		e.mu.Unlock()
		close(d.done)
	})
}

// find is the run while this coordinator drives it, or nil.
func (e *Engine) find(id ivd.RunID) *driver {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.drivers[id]
}
