package engine

import (
	"context"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// openLease opens the lease that a run needs.
func (e *Engine) openLease(ctx context.Context, r Run) (repo.Lease, error) {
	return e.Leases.OpenLease(ctx, repo.LeaseSpec{Kind: r.LeaseKind, Owner: e.Instance, Run: r.ID})
}

// unused ends a lease under which nothing was done, whether its asker still waits
// or not.
func (e *Engine) unused(ctx context.Context, lease repo.Lease) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer stop()
	if err := e.Leases.EndLease(ctx, lease.ID); err != nil {
		e.Log.Warn("ending a lease failed: it will expire", "lease", lease.ID, "err", err)
	}
}

// endLease ends the run's lease, unless a commit may still be on its way (COLLECT
// W7).
func (d *driver) endLease(ctx context.Context) {
	if d.inDoubt.Load() {
		d.log.Warn("the run's lease is left to expire: a commit's outcome is not known", "lease", d.lease.ID)
		return
	}
	if err := d.e.Leases.EndLease(ctx, d.lease.ID); err != nil {
		d.log.Warn("ending the run's lease failed: it will expire", "lease", d.lease.ID, "err", err)
	}
}

// lasts refuses what the run's lease ends too soon for: its movers do so as well.
func (d *driver) lasts(now time.Time) error {
	if now.Before(d.lease.Deadline.Add(-repo.Margin)) {
		return nil
	}
	return Outlived(ivd.Errorf(ivd.Expired, "lease %s ends at %s", d.lease.ID, d.lease.Deadline.Format(time.RFC3339)))
}

// Outlived is the failure of what its run's lease ended too soon for.
func Outlived(err error) error {
	return &ivd.Error{Kind: ivd.Permanent, Op: "the run has outlived its lease", Err: err, Remedy: "back fewer disks up in one run, or add movers"}
}
