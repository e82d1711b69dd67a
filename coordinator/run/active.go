package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
	"ivdmover/shared/repo"
)

// active is a run while this coordinator drives it.
type active struct {
	s     *Service
	log   *slog.Logger
	lease repo.Lease // ours: opened by this start, ended by it or left to expire

	id      ivd.RunID
	taken   bool        // it was begun by another start or another coordinator
	created time.Time   // of the run: the time in its points' names
	full    bool        // as it was asked for
	inDoubt atomic.Bool // a commit's outcome is not known

	cancel context.CancelCauseFunc // of the work, not of cleaning up
	done   chan struct{}           // closed when the driver has returned

	storing  sync.Mutex // held while the run is stored; before mu
	mu       sync.Mutex
	run      Run                     // guarded by mu, like all below
	rev      uint64                  // of run in the bucket
	disks    map[ivd.DiskID]Disk     // the latest of each, by key
	jobs     map[jobKey]job.Record   // of disks that are moving
	progress map[jobKey]job.Progress // beyond the records
	changed  chan struct{}           // closed and replaced at every change
}

type jobKey struct {
	disk ivd.DiskID
	job  ivd.JobID
}

func (s *Service) newActive(r Run, rev uint64, lease repo.Lease) *active {
	return &active{
		s: s, log: s.Log.With("run", r.ID), lease: lease, id: r.ID, created: r.Created, full: r.Full,
		run: r, rev: rev, done: make(chan struct{}), changed: make(chan struct{}),
		disks: map[ivd.DiskID]Disk{}, jobs: map[jobKey]job.Record{}, progress: map[jobKey]job.Progress{},
	}
}

// drive takes the run to its end: every disk by itself, then the summary and the
// lease. It returns early when the coordinator stops or loses the run.
func (a *active) drive(life context.Context) {
	life, lose := context.WithCancelCause(life)
	defer lose(nil)
	work, cancel := context.WithCancelCause(life)
	defer cancel(nil)
	a.mu.Lock()
	a.cancel = cancel
	if a.run.Cancel {
		cancel(errCancelled)
	}
	a.mu.Unlock()

	var helpers sync.WaitGroup
	defer helpers.Wait()
	quit, stopHelpers := context.WithCancel(life)
	defer stopHelpers()
	helpers.Go(func() { a.keepBeating(quit, lose) })
	helpers.Go(func() { a.followJobs(quit) })
	helpers.Go(func() { a.followProgress(quit) })

	disks, err := a.ownDisks(life)
	if err != nil {
		a.leave(life, "read the run's disks", err)
		return
	}
	var group sync.WaitGroup
	for _, d := range disks {
		a.publish(d.Disk)
		t := &task{s: a.s, run: a, rec: d.Disk, rev: d.rev, log: a.log.With("disk", d.Key(), "name", d.Name)}
		group.Go(func() { t.drive(life, work) })
	}
	group.Wait()
	if life.Err() == nil && a.allEnded() {
		a.finish(life)
		return
	}
	a.leave(life, "bring every disk to its end", errors.New("some are not"))
}

// ownDisks reads the run's disks. Where another one drove them before they are
// written anew, so that nothing it may still store of them succeeds: what it does
// in the repository and in vCenter is what we would do as well.
func (a *active) ownDisks(ctx context.Context) ([]storedDisk, error) {
	disks, err := a.s.listDisks(ctx, a.id)
	if err != nil || !a.taken {
		return disks, err
	}
	for i := range disks {
		for d := &disks[i]; d.Step != Ended; {
			rev, err := a.s.Queue.State().Update(ctx, diskKey(d.Disk), d.Disk, d.rev)
			if err == nil {
				d.rev = rev
				break
			}
			if ivd.KindOf(err) != ivd.Conflict {
				return nil, err
			}
			if d.Disk, d.rev, err = a.s.getDisk(ctx, a.id, d.Key()); err != nil {
				return nil, err
			}
		}
	}
	return disks, nil
}

// leave leaves the run as it is stored. Unless it is another one's by now, or we
// stop, it is taken up again after a while, under a lease of its own.
func (a *active) leave(life context.Context, doing string, err error) {
	if life.Err() == nil && errors.Is(a.update(life, func(r *Run) { r.Beat++ }), errTakenOver) {
		a.log.Warn("run left", "why", errTakenOver)
		return
	}
	if life.Err() != nil {
		a.log.Info("run left as it is stored", "why", context.Cause(life))
		return
	}
	a.log.Error("run left as it is stored; it is taken up again in a while", "doing", doing, "err", err)
	a.endLease(life)
}

func (a *active) allEnded() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range a.disks {
		if d.Step != Ended {
			return false
		}
	}
	return true
}

// keepBeating shows other coordinators that the run has an owner, and notices a
// request to cancel that came through the bucket.
func (a *active) keepBeating(ctx context.Context, lose context.CancelCauseFunc) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := a.update(ctx, func(r *Run) { r.Beat++ })
		if errors.Is(err, errTakenOver) {
			lose(errTakenOver)
			return
		}
		if err != nil && ctx.Err() == nil {
			a.log.Warn("store the run's beat", "err", err)
		}
	}
}

// update changes the stored run. Others may only ask for its cancellation; who
// changed its owner has taken it over.
func (a *active) update(ctx context.Context, change func(*Run)) error {
	a.storing.Lock()
	defer a.storing.Unlock()
	for {
		next, rev := a.stored()
		change(&next)
		rev, err := a.s.Queue.State().Update(ctx, runKey(next.ID), next, rev)
		if err == nil {
			a.setRun(next, rev)
			return nil
		}
		if ivd.KindOf(err) != ivd.Conflict {
			return fmt.Errorf("store run %s: %w", next.ID, err)
		}
		stored, rev, err := a.s.getRun(ctx, next.ID)
		if err != nil {
			return err
		}
		if stored.Owner != next.Owner || stored.OwnerRun != next.OwnerRun {
			return errTakenOver
		}
		a.setRun(stored, rev)
	}
}

func (a *active) stored() (Run, uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.run, a.rev
}

// setRun takes over what is stored of the run, a request to cancel with it.
func (a *active) setRun(r Run, rev uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.run, a.rev = r, rev
	if r.Cancel && a.cancel != nil {
		a.cancel(errCancelled)
	}
	a.wakeLocked()
}

// followJobs keeps the records of the run's jobs as the bucket has them.
func (a *active) followJobs(ctx context.Context) {
	for n := 1; ; n++ {
		for rec, err := range a.s.Queue.WatchJobs(ctx, a.id) {
			if err != nil && ctx.Err() == nil {
				a.log.Error("follow the run's jobs", "err", err)
			}
			if err == nil {
				a.putJob(rec)
			}
		}
		if pause.For(ctx, stepping.After(n)) != nil {
			return
		}
	}
}

func (a *active) followProgress(ctx context.Context) {
	err := a.s.Queue.SubscribeProgress(ctx, a.id, func(p job.Progress) {
		a.mu.Lock()
		defer a.mu.Unlock()
		k := jobKey{p.Disk, p.Job}
		if a.jobs[k].State == job.Running {
			a.progress[k] = p
			a.wakeLocked()
		}
	})
	if err != nil && ctx.Err() == nil {
		a.log.Warn("follow the movers' progress: it will not show", "err", err)
	}
}

// finish writes the run's summary into the repository, stores its result, and
// gives the lease up.
func (a *active) finish(ctx context.Context) {
	v := a.view()
	v.State, v.Ended = a.result(), time.Now().UTC()
	// The summary comes first: nobody looks at a run that has ended.
	if v.Kind == job.Backup {
		if err := again(ctx, func() error { return a.s.Repo.Summarize(ctx, v.ID, v) }); err != nil {
			a.log.Warn("write the run's summary", "err", err)
		}
	}
	err := again(ctx, func() error {
		return a.update(ctx, func(r *Run) { r.State, r.Ended = v.State, v.Ended })
	})
	if err != nil {
		a.leave(ctx, "store the run's end", err)
		return
	}
	a.endLease(ctx)
	a.log.Info("run ended", "state", v.State, "disks", len(v.Disks), "read_bytes", v.Stats.ReadBytes, "stored_bytes", v.Stats.StoredBytes)
}

// endLease ends the lease, unless a commit may still be on its way (COLLECT W7).
func (a *active) endLease(ctx context.Context) {
	if a.inDoubt.Load() {
		a.log.Warn("the run's lease is left to expire: a commit's outcome is not known", "lease", a.lease.ID)
		return
	}
	if err := a.s.Repo.EndLease(ctx, a.lease.ID); err != nil {
		a.log.Warn("end the run's lease: it will expire", "lease", a.lease.ID, "err", err)
	}
}

// result sums the disks' results up. A run that left something out is partial.
func (a *active) result() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	done := 0
	for _, d := range a.disks {
		if d.Result == Done {
			done++
		}
	}
	switch {
	case done == len(a.disks) && done > 0 && a.run.Failure == nil:
		return Done
	case a.run.Cancel:
		return Cancelled
	case done == 0:
		return Failed
	}
	return Partial
}

// publish lets everybody see a disk's new state.
func (a *active) publish(d Disk) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.disks[d.Key()] = d
	if d.Step == Ended { // what its jobs came to is in it
		for _, id := range d.Jobs {
			delete(a.jobs, jobKey{d.Ref.ID(), id})
			delete(a.progress, jobKey{d.Ref.ID(), id})
		}
	}
	a.wakeLocked()
}

func (a *active) wakeLocked() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// next is closed at the next change.
func (a *active) next() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed
}
