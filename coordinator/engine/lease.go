package engine

import (
	"context"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/repo"
)

// NoLease is of a run that reads where nothing can be written. It holds only as long
// as nobody deletes from the repository, and commits nothing.
const NoLease format.LeaseKind = "none"

// openLease opens the lease that a run needs; the zero lease is of one that has none.
func (e *Engine) openLease(ctx context.Context, r Run) (repo.Lease, error) {
	if r.LeaseKind == NoLease {
		return repo.Lease{}, nil
	}
	return e.Leases.OpenLease(ctx, repo.LeaseSpec{Kind: r.LeaseKind, Owner: e.Instance, Run: r.ID})
}

// unused ends a lease under which nothing was done, whether its asker still waits
// or not.
func (e *Engine) unused(ctx context.Context, lease repo.Lease) {
	if lease.ID == "" {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer stop()
	if err := e.Leases.EndLease(ctx, lease.ID); err != nil {
		e.Log.Warn("ending a lease failed: it will expire", "lease", lease.ID, "err", err)
	}
}

// keepLease has the run go on under another lease when half of the present one is
// over (COLLECT G4): no lease is ever prolonged. What it is for may last as long as
// it takes.
func (d *driver) keepLease(ctx context.Context) {
	for pause.For(ctx, leaseEvery) == nil {
		if err := d.succeed(ctx); err != nil && ctx.Err() == nil {
			d.tellAgain(d.log, "opening the run's next lease failed", err, "deadline", d.lease().Deadline)
		}
	}
}

// succeed opens the run's next lease where that is due, stores it, and has all groups
// give it to their jobs. The old lease is left to expire: jobs may still seal under
// it, and a commit may be on its way. So is a new one of which it is not known
// whether it was stored.
func (d *driver) succeed(ctx context.Context) error {
	d.succeeding.Lock()
	defer d.succeeding.Unlock()
	old := d.lease()
	if old.ID == "" { // the run has none
		return nil
	}
	// Asked, since a machine that slept does not know for how long. A lease that is over
	// is succeeded as well: all that was done under it is looked at again.
	err := d.e.Leases.CheckLease(ctx, old.ID, old.Deadline.Sub(old.Opened)/2-repo.Margin)
	if ivd.KindOf(err) != ivd.Expired {
		return err
	}
	r, _ := d.stored()
	next, err := d.e.openLease(ctx, r)
	if err != nil {
		return err
	}
	if err := d.update(ctx, func(r *Run) { r.Lease, r.Deadline = next.ID, next.Deadline }); err != nil {
		return err
	}
	d.log.Info("the run goes on under another lease", "lease", next.ID, "deadline", next.Deadline, "before", old.ID)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.holds = next
	for _, g := range d.groups {
		g.rouse()
	}
	return nil
}

// lease is the run's present one: opened by this start, and ended by it or left to
// expire.
func (d *driver) lease() repo.Lease {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.holds
}

// endLease ends the run's lease, unless a commit may still be on its way (COLLECT
// W7).
func (d *driver) endLease(ctx context.Context) {
	lease := d.lease().ID
	if lease == "" {
		return
	}
	if d.inDoubt.Load() {
		d.log.Warn("the run's lease is left to expire: a commit's outcome is not known", "lease", lease)
		return
	}
	if err := d.e.Leases.EndLease(ctx, lease); err != nil {
		d.log.Warn("ending the run's lease failed: it will expire", "lease", lease, "err", err)
	}
}

// lasts refuses what the run's lease ends too soon for, as its movers do, where the
// run cannot go on under another one. A run without a lease lasts as long as it takes.
func (d *driver) lasts(ctx context.Context) error {
	if l := d.lease(); l.ID == "" || d.e.Leases.Now().Before(l.Deadline.Add(-repo.Margin)) {
		return nil
	}
	if err := d.succeed(ctx); err != nil {
		return outlived(err)
	}
	return nil
}

// renewed has the run go on under another lease where its own is over: whoever found
// that out sooner than its deadline says, it may be gone from the store. Where there can
// be no other one, that is for good.
func (d *driver) renewed(ctx context.Context) error {
	err := d.succeed(ctx)
	if err != nil && !ivd.KindOf(err).Retry() {
		return outlived(err)
	}
	return err
}

// outlived is the failure of what its run's lease ended too soon for.
func outlived(err error) error {
	return &ivd.Error{Kind: ivd.Permanent, Op: "the run has outlived its lease", Err: err, Remedy: "see in the log of `ivd serve` why it could open no other lease, and start the run again"}
}

// leased does a step, and once more where the run's lease ended too soon for it. What
// else may have expired, a session or a credential, stays the step's error.
func (d *driver) leased(ctx context.Context, step func(context.Context) error) error {
	lease := d.lease().ID
	err := step(ctx)
	if ivd.KindOf(err) != ivd.Expired {
		return err
	}
	if err := d.succeed(ctx); err != nil {
		return err
	}
	if d.lease().ID == lease {
		return err
	}
	d.log.Warn("the run's lease ended too soon", "err", err)
	if err = step(ctx); ivd.KindOf(err) == ivd.Expired {
		return outlived(err)
	}
	return err
}
