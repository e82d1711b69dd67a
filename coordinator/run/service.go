package run

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"ivdmover/coordinator/admit"
	"ivdmover/coordinator/inventory"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
)

// Deps are what a Service works with. It owns none of them.
type Deps struct {
	Queue    *queue.Queue
	Repo     *repo.Repository
	VCenters map[ivd.SourceID]*inventory.VCenter // as each says of itself, whatever the configuration calls it
	Policies []config.Policy
	Limits   admit.Limits // the fleet's part is filled in from the movers' heartbeats

	// Instance names this coordinator and is the same after a restart; whoever
	// starts under it is alone (its state folder is locked).
	Instance string
	Log      *slog.Logger
}

// Service drives the runs that this coordinator owns. Its methods are safe for
// concurrent use.
type Service struct {
	Deps
	start string    // names this start of the instance
	born  time.Time // when it began
	gate  *gate

	mu     sync.Mutex
	active map[ivd.RunID]*active // guarded by mu
	life   context.Context       // of Serve; set before begun is closed
	begun  chan struct{}         // closed when Serve is at work, or could not begin
	group  sync.WaitGroup        // the drivers

	seen     map[ivd.RunID]beat // owned by adopt: what runs looked like that we do not drive
	fleet    map[string]beat    // owned by countFleet: the same of movers
	settling *settling
	now      func() time.Time
}

// Causes of a driver's end, told apart by what is left to do.
var (
	errShutdown  = errors.New("the coordinator is shutting down")
	errTakenOver = &ivd.Error{Kind: ivd.Permanent, Err: errors.New("another coordinator has taken the run over")}
	errCancelled = &ivd.Error{Kind: ivd.Cancelled, Err: errors.New("cancelled on request")}
)

// How often things are looked at. They are no one's promise: all of them only
// bound how long something unusual goes unnoticed.
const (
	beatEvery    = 5 * time.Second
	countEvery   = time.Second      // the movers' handles
	lookEvery    = 3 * time.Second  // for runs without an owner, ledger entries without a run
	silentOwner  = 15 * time.Second // after which a run is taken over, by our own clock
	silentMover  = 20 * time.Second // after which a mover's handles do not count
	sweepFirst   = time.Minute      // after the start
	sweepEvery   = time.Hour
	recordsEvery = time.Minute // for jobs whose change was not told
	letGoTimeout = time.Minute // for movers to close the handles of a stopped disk
)

// New makes a Service; Serve starts it.
func New(d Deps) *Service {
	s := &Service{
		Deps:   d,
		start:  uuid.NewString(),
		born:   time.Now(),
		active: map[ivd.RunID]*active{},
		begun:  make(chan struct{}),

		seen: map[ivd.RunID]beat{}, fleet: map[string]beat{}, settling: newSettling(), now: time.Now,
	}
	s.gate = newGate(d.Limits)
	return s
}

// Serve takes up the runs that this instance left, answers the movers' questions
// for logins and those of doctors, and drives runs until ctx ends. What is under way then is left as
// it is stored, for the next start.
func (s *Service) Serve(ctx context.Context) error {
	life, end := context.WithCancelCause(ctx)
	s.life = life
	stop, err := s.answer(ctx)
	if err != nil {
		end(errShutdown)
		close(s.begun)
		return err
	}
	defer stop()
	close(s.begun)

	s.watchOver(life)
	s.mu.Lock() // from here on drive starts nothing
	end(errShutdown)
	s.mu.Unlock()
	s.group.Wait()
	return nil
}

// answer answers what is asked over the queue until stop is called.
func (s *Service) answer(ctx context.Context) (stop func(), err error) {
	logins, err := s.Queue.ServeLogins(ctx, s.login, slices.Collect(maps.Keys(s.VCenters))...)
	if err != nil {
		return nil, err
	}
	examinations, err := s.Queue.ServeExaminations(ctx, s.examine)
	if err != nil {
		logins()
		return nil, err
	}
	return func() { examinations(); logins() }, nil
}

// drive starts the goroutine that drives a run which is stored as ours. Once the
// coordinator is shutting down it leaves the run to the next start.
func (s *Service) drive(a *active) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return
	}
	s.active[a.id] = a
	s.group.Go(func() {
		a.drive(s.life)
		s.mu.Lock()
		delete(s.active, a.id)
		s.mu.Unlock()
		close(a.done)
	})
}

// find is the run while this coordinator drives it, or nil.
func (s *Service) find(id ivd.RunID) *active {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active[id]
}

// Serving waits until Serve is at work: without it no run can begin, and no mover or
// doctor is answered. Kind Transient: it has ended, or could not begin.
func (s *Service) Serving(ctx context.Context) error {
	select {
	case <-s.begun:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if s.life.Err() != nil {
		return &ivd.Error{Kind: ivd.Transient, Err: errShutdown, Remedy: "ask again when it is back"}
	}
	return nil
}

// vcenter is the vCenter, or the host, where a disk lives.
func (s *Service) vcenter(source ivd.SourceID) (*inventory.VCenter, error) {
	v, ok := s.VCenters[source]
	if !ok {
		return nil, notConfigured(string(source))
	}
	return v, nil
}

// vcenterNamed is the vCenter that the configuration calls so.
func (s *Service) vcenterNamed(name string) (*inventory.VCenter, error) {
	for _, v := range s.VCenters {
		if v.Name() == name {
			return v, nil
		}
	}
	return nil, notConfigured(name)
}

func notConfigured(vcenter string) error {
	return &ivd.Error{Kind: ivd.NotFound, Err: errors.New("vCenter " + vcenter + " is not in the configuration"), Remedy: "add it under vcenters and restart `ivd serve`"}
}

// login answers a mover: only for a disk of a run that is under way.
func (s *Service) login(ctx context.Context, q job.LoginRequest) (job.Login, error) {
	r, _, err := s.getRun(ctx, q.Run)
	if err != nil {
		return job.Login{}, err
	}
	if r.State.Ended() {
		// EndAccess may be left to do: the ledger says so.
		if _, _, err := s.getLedger(ctx, q.Run, q.Disk.ID()); err != nil {
			return job.Login{}, ivd.Errorf(ivd.Denied, "run %s is over: no login for it", q.Run)
		}
	}
	if err := s.belongs(ctx, r, q.Disk); err != nil {
		return job.Login{}, err
	}
	v, err := s.vcenter(q.Disk.Source())
	if err != nil {
		return job.Login{}, err
	}
	m, err := s.Queue.Mover(ctx, q.Mover)
	if err != nil {
		s.Log.Warn("what the mover's host can do is not known", "mover", q.Mover, "err", err)
	}
	return s.loginFor(ctx, v, q.Disk, m)
}

// loginFor is a login for a disk, with what bears on the transports for the mover
// that asks: it may have come after the disk's jobs were made, and its VM's slots
// may have been taken since.
func (s *Service) loginFor(ctx context.Context, v *inventory.VCenter, ref ivd.DiskRef, m job.Mover) (job.Login, error) {
	l, err := v.Login(ctx)
	if err != nil {
		return job.Login{}, err
	}
	if m.Name != "" {
		l.Allows = allows(ctx, s.Log.With("disk", ref.ID(), "mover", m.Name), v, ref, []job.Mover{m})
	}
	return l, nil
}

// belongs refuses a disk that is none of the run's. A disk that a restore makes is
// known in its run by the point's disk.
func (s *Service) belongs(ctx context.Context, r Run, ref ivd.DiskRef) error {
	d, _, err := s.getDisk(ctx, r.ID, ref.ID())
	if err == nil && d.Ref.Source() == ref.Source() && d.Ref.ID() == ref.ID() {
		return nil
	}
	if err != nil && ivd.KindOf(err) != ivd.NotFound {
		return err
	}
	if r.Kind == job.Restore {
		disks, err := s.listDisks(ctx, r.ID)
		if err != nil {
			return err
		}
		for _, d := range disks {
			if d.Ref.Source() == ref.Source() && d.Ref.ID() == ref.ID() {
				return nil
			}
		}
	}
	return ivd.Errorf(ivd.Denied, "disk %s is none of run %s: no login for it", ref.ID(), r.ID)
}
