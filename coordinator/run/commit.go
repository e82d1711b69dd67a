package run

import (
	"context"
	"errors"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// close commits the restore point.
func (t backingUp) close(ctx context.Context) error {
	if t.run.taken { // who drove it before may have come as far
		if done, err := t.committed(ctx); done || err != nil {
			return err
		}
	}
	pages, stats, err := t.collect(ctx)
	if err != nil {
		return err
	}
	p := t.point(pages, stats)
	err = t.s.Repo.Commit(ctx, t.run.lease, p)
	if errors.Is(err, repo.ErrInDoubt) {
		t.run.inDoubt.Store(true)
	}
	switch ivd.KindOf(err) {
	case ivd.Exists: // or is still alive, and has lost the run
		if done, readErr := t.committed(ctx); done || readErr != nil {
			return readErr
		}
	case ivd.Expired:
		return outlived(err)
	}
	if err != nil {
		return err
	}
	return t.save(ctx, func(d *Disk) { d.Stats = stats })
}

// committed tells whether the disk's point is there already, by this run under an
// earlier lease: whoever committed it had all of it, and looked at that lease.
func (t backingUp) committed(ctx context.Context) (bool, error) {
	p, _, err := t.s.Repo.ReadPoint(ctx, t.rec.Point)
	if ivd.KindOf(err) == ivd.NotFound {
		return false, nil
	}
	if err != nil || p.Run != t.rec.Run || p.Snapshot != t.rec.Snapshot {
		return false, err
	}
	t.log.Info("the restore point was committed before the run was taken up", "point", p.ID)
	return true, t.save(ctx, func(d *Disk) { d.Stats = p.Stats })
}

// lasts refuses what the run's lease ends too soon for: its movers do so as well.
func (a *active) lasts(now time.Time) error {
	if now.Before(a.lease.Deadline.Add(-repo.Margin)) {
		return nil
	}
	return outlived(ivd.Errorf(ivd.Expired, "lease %s ends at %s", a.lease.ID, a.lease.Deadline.Format(time.RFC3339)))
}

func outlived(err error) error {
	return &ivd.Error{Kind: ivd.Permanent, Op: "the run has outlived its lease", Err: err, Remedy: "back fewer disks up in one run, or add movers"}
}

// point is the restore point that the disk's run has made.
func (t backingUp) point(pages []ivd.PageRef, st ivd.Stats) format.Point {
	return format.Point{
		ID: t.rec.Point, Repository: t.s.Repo.ID(),
		Disk: t.rec.Ref, Name: t.rec.Name, DatastoreName: t.rec.Datastore, Geometry: t.rec.Geometry,
		Run: t.rec.Run, Lease: t.run.lease.ID, LeaseDeadline: t.run.lease.Deadline, Time: t.run.created,
		Parent: t.rec.Parent, Snapshot: t.rec.Snapshot, ChangeID: t.rec.ChangeID, CBT: t.rec.CBT,
		Mode: string(t.rec.Mode), Pages: pages, Metadata: t.rec.Metadata, Stats: st,
	}
}

// collect gathers the pages that the jobs have made. What was sealed under an older
// lease is relied on only after the lists that stand now were asked (COLLECT W7).
func (t backingUp) collect(ctx context.Context) ([]ivd.PageRef, ivd.Stats, error) {
	recs, stats, err := t.records(ctx)
	if err != nil {
		return nil, stats, err
	}
	var pages []ivd.PageRef
	for _, rec := range recs {
		if rec.State != job.Done {
			return nil, stats, ivd.Errorf(ivd.Permanent, "job %s of disk %s is %s at the commit", rec.ID, t.rec.Ref.ID(), rec.State)
		}
		if rec.Lease != t.run.lease.ID {
			if err := t.run.recheck(ctx, rec, t.rec.Geometry); err != nil {
				return nil, stats, err
			}
		}
		pages = append(pages, rec.Pages...)
	}
	return pages, stats, nil
}
