// Package worker takes jobs off the queue and does them: it counts an attempt
// before it starts, opens the disk with a login asked for, has the pipeline move
// the data, stores a checkpoint for each batch, and acknowledges last.
//
// What it promises: it takes no more jobs than it has free handles; a job's record
// says at any moment what is stored; who loses the race for a record drops the
// job at once, without a trace; a job that it cannot finish is either failed with
// a reason or handed back, never forgotten. Asked to stop, it finishes the batches
// under way, hands the jobs back and closes every disk.
//
// It never decides whether a failed job is tried again, never creates or deletes a
// snapshot, and keeps no login longer than a call needs it.
package worker

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"

	"ivdmover/mover/disk"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/budget"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/sealed"
	"ivdmover/shared/telemetry"
)

// Disks opens disks, and calls VDDK about them outside of any job.
type Disks interface {
	Open(ctx context.Context, s disk.Spec) (*disk.Disk, error)
	PrepareAccess(ctx context.Context, d job.Disk, login job.Login, identity string) error
	EndAccess(ctx context.Context, d job.Disk, login job.Login, identity string) error
}

// Devices are the disks that this machine has hot-added.
type Devices interface {
	// Left are those that are not released.
	Left() []disk.Attachment
	// Release releases all of the vCenter that one is of, and reports whether it did.
	Release(ctx context.Context, a disk.Attachment, login job.Login) bool
	// GiveUp forgets one that there is no login for.
	GiveUp(a disk.Attachment)
}

// Options are what a worker works with.
type Options struct {
	Name        string // of the mover
	Handles     int    // disks open at once
	DedupMemory int64
	VDDK        string   // the library's version, for people
	NoRestore   string   // why it takes no restores; empty: it does
	Modes       []string // the transports that are tried
	Queue       *queue.Queue
	Repository  *repo.Repository // nil: Sealed is opened
	Sealed      *Sealed
	Recheck     time.Duration // within which each pack that is built on is asked for
	Checks      int           // of how many frames of a new pack one is opened before it is stored; 0: none
	Unproven    bool          // packs of other movers are built on that nobody has proven
	Disks       Disks
	Devices     Devices // nil: nothing is ever left
	Memory      *budget.Memory
	Limits      pipeline.Limits
	Log         *slog.Logger
	// Facts tells what the host is and has found out, for heartbeats; nil: nothing.
	Facts func() disk.Facts
	// LostSlots are disks that processes before this one hold and do not move: Handles
	// is without them.
	LostSlots int
	// Yield sends those away who wait for an opening that hangs, and asks for another
	// process that does what this one has not begun, where there can be one. Other movers
	// may take it, too. nil: they wait.
	Yield func()
	// MaxLost is how many calls of the library may be given up before the process
	// asks to be replaced: each keeps a thread and buffers. 0: 3.
	MaxLost int
}

// Worker is one mover process at work.
type Worker struct {
	Options
	process  string
	key      *sealed.Key
	signer   signer
	host     string
	started  time.Time
	writers  *writers
	readers  readers
	passes   passes
	told     told
	withheld telemetry.Seldom // that a secret keeps jobs from going on
	stop     chan struct{}    // closed when it is to stop

	beating sync.Mutex // one heartbeat at a time, so that none overtakes another
	beats   uint64     // guarded by beating

	mu     sync.Mutex
	waits  string // guarded by mu: what it waits for before it takes jobs
	active map[jobKey]*active
	alone  *active       // the job that nothing else may run beside
	freed  chan struct{} // closed and replaced when a handle is given back

	replace  chan struct{} // closed when another process would do better
	replaced sync.Once
	relieved chan struct{} // closed when others take over what is not begun
	relief   sync.Once
}

// New makes a worker; Run starts it.
func New(o Options) (*Worker, error) {
	key, err := sealed.NewKey()
	if err != nil {
		return nil, err
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = o.Name
	}
	process := uuid.NewString()
	w := &Worker{
		Options: o, process: process, key: key, signer: signer{o.Name, process, private}, host: host, started: time.Now(),
		stop: make(chan struct{}), active: map[jobKey]*active{}, freed: make(chan struct{}), replace: make(chan struct{}), relieved: make(chan struct{}),
	}
	if w.Facts == nil {
		w.Facts = func() disk.Facts { return disk.Facts{} }
	}
	if w.MaxLost <= 0 {
		w.MaxLost = maxLostCalls
	}
	if o.Repository == nil {
		w.waits = "the keys of repository " + o.Sealed.ID
	}
	w.writers = newWriters(o)
	w.readers = readers{repository: o.Repository, open: map[readKey]opened{}}
	return w, nil
}

// maxLostCalls is MaxLost where nobody says.
const maxLostCalls = 3

// ErrReplace is what Run returns when too many calls of the library were given up:
// everything is handed back, and another process should go on.
var ErrReplace = errors.New("too many calls of VDDK hang in this process")

// errEnded is why everything ends when Run's context does.
var errEnded = errors.New("the mover is ended")

// farewellTimeout is how long a mover that stops tries to say so. Its heartbeat
// expires by itself.
const farewellTimeout = 3 * time.Second

// Run works until stop is closed, and then until everything is handed back; so it
// does, and returns ErrReplace, when the library has lost too many threads. When ctx
// ends it drops what it holds and returns as soon as the calls under way have.
func (w *Worker) Run(ctx context.Context, stop <-chan struct{}) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(errEnded)
	if err := w.begin(ctx, stop); err != nil {
		return fmt.Errorf("send the first heartbeat: %w", err)
	}
	unserve, err := w.Queue.ServeRequests(ctx, w.Name, w.answer)
	if err != nil {
		return err
	}
	pulling, stopPulling := context.WithCancel(ctx)
	defer stopPulling()
	var tending, pullers, jobs sync.WaitGroup
	tended := make(chan struct{})
	tendingCtx, stopTending := context.WithCancel(ctx)
	defer stopTending()
	tending.Go(func() { w.tend(tendingCtx, tended) })
	ending := w.unlock(ctx, stop)
	if ending == nil && w.Repository != nil {
		w.Log.Info("mover is ready", "process", w.process, "handles", w.Handles, "vddk", w.VDDK, "transports", w.Modes)
		left := w.left() // before jobs attach disks of their own
		pullers.Go(func() { w.release(pulling, left) })
		pullers.Go(func() { w.writers.tend(pulling) })
		for _, kind := range w.takes() {
			pullers.Go(func() { w.pull(ctx, pulling, kind, &jobs) })
		}
		ending = w.until(ctx, stop, func() { stopPulling(); pullers.Wait() }, &jobs)
	}
	close(w.stop)
	stopPulling()
	pullers.Wait()
	jobs.Wait()
	w.writers.end(ctx)
	unserve()
	close(tended)
	stopTending() // a heartbeat may be waiting for a queue that is away
	tending.Wait()
	w.tellLeft()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	farewell, end := context.WithTimeout(ctx, farewellTimeout)
	defer end()
	if err := w.Queue.Leave(farewell, w.Name); err != nil {
		w.Log.Warn("withdrawing the heartbeat failed: it will expire", "err", err)
	}
	w.Log.Info("mover has stopped")
	return ending
}

// until waits until the work is to end, and says why.
func (w *Worker) until(ctx context.Context, stop <-chan struct{}, stopPulling func(), jobs *sync.WaitGroup) error {
	select {
	case <-stop:
		w.Log.Info("mover is asked to stop: it finishes its batches and hands its jobs back")
	case <-w.replace:
		w.Log.Warn("mover asks to be replaced: it finishes its batches and hands its jobs back", "given_up", w.Facts().Lost)
		return ErrReplace
	case <-w.relieved:
		stopPulling()
		w.finish(ctx, stop, jobs)
		return ErrReplace
	case <-ctx.Done():
	}
	return nil
}

// takes are the kinds of job that it takes.
func (w *Worker) takes() []job.Kind {
	if w.NoRestore == "" {
		return []job.Kind{job.Restore, job.Backup, job.Verify}
	}
	w.Log.Warn("this mover takes no restores: it cannot write", "why", w.NoRestore)
	return []job.Kind{job.Backup, job.Verify}
}

// begin sends the first heartbeat. It waits for a coordinator that has not set the queue
// up yet, until stop is closed.
func (w *Worker) begin(ctx context.Context, stop <-chan struct{}) error {
	ctx, cancel := unless(ctx, stop)
	defer cancel()
	err := pause.Starting(func(err error, wait time.Duration) {
		w.Log.Warn("waiting for the coordinator to set the queue up", "err", err, "remedy", ivd.RemedyOf(err), "again_in", wait.Round(time.Second))
	}).Do(ctx, w.beat)
	select {
	case <-stop:
		return nil // Run ends in order
	default:
		return err
	}
}

// unless is a context that ends when stop is closed, too.
func unless(ctx context.Context, stop <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { cancel(); watch.Wait() }
}

// finish waits until the jobs are done of a process that was relieved, unless it is to
// end at once.
func (w *Worker) finish(ctx context.Context, stop <-chan struct{}, jobs *sync.WaitGroup) {
	w.Log.Warn("opening a disk hangs, and others wait for it: they are handed back for other movers, and for another process of this one where its transports allow that; this process ends after the jobs that it has begun")
	done := make(chan struct{})
	go func() { jobs.Wait(); close(done) }()
	select {
	case <-done:
	case <-stop:
	case <-ctx.Done():
	}
}

// hangs reports whether the process takes nothing new since opening a disk hangs in it.
func (w *Worker) hangs() bool {
	select {
	case <-w.relieved:
		return true
	default:
		return false
	}
}

// stopping reports whether nothing new is begun.
func (w *Worker) stopping() bool {
	select {
	case <-w.stop:
	case <-w.relieved:
	default:
		return false
	}
	return true
}

// Holds is how many disks the process holds, or is about to.
func (w *Worker) Holds() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.active)
}
