package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ivdmover/coordinator/ledger"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// move follows the group's jobs until all are done, and gives those that failed
// another attempt where that can help. A message is sent once its record is stored,
// and again where it may be lost: one that is delivered twice finds its job taken.
func (g *Group) move(ctx context.Context) error {
	due := map[jobKey]time.Time{} // when a failed job is tried again
	slow := time.NewTicker(recordsEvery)
	defer slow.Stop()
	for {
		// After a restart, and when the queue was away, a message may not have been sent.
		if err := g.each(func(t *Task) error { return t.publish(ctx) }); err != nil {
			return err
		}
		if err := g.d.lasts(ctx); err != nil {
			return err
		}
		wake, done, err := g.look(ctx, due)
		if err != nil || done {
			return err
		}
		var timer <-chan time.Time
		if !wake.IsZero() {
			timer = time.After(time.Until(wake))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-g.wake:
		case <-timer:
		case <-slow.C: // whatever was not told, and a message that was lost
			for _, t := range g.Tasks {
				recs, _ := t.records(ctx) // none where it fails: there is a next time
				for _, rec := range recs {
					g.d.putJob(rec)
					if err := t.strands(ctx, rec); err != nil {
						return err
					}
				}
				t.published = false
			}
		}
	}
}

// publish stores a record for each of the item's jobs, with the run's lease, and puts
// those on the queue that no mover has had.
func (t *Task) publish(ctx context.Context) error {
	lease := t.g.d.lease().ID
	if t.published && t.under == lease {
		return nil
	}
	if err := t.plan(ctx); err != nil {
		return err
	}
	if err := t.mayPublish(ctx, lease); err != nil {
		return err
	}
	q := t.g.d.e.Queue
	for _, id := range t.item.Jobs {
		rec := t.newRecord(id, lease)
		err := q.CreateJobRecord(ctx, rec)
		if ivd.KindOf(err) == ivd.Exists {
			rec, err = t.goOn(ctx, id, lease)
		}
		if err != nil {
			return fmt.Errorf("store job %s of disk %s: %w", id, t.item.Disk, err)
		}
		if rec.State == job.Failed {
			continue // whether it is tried again is decided where jobs are followed
		}
		if err := q.Publish(ctx, t.jobs[id]); err != nil {
			return fmt.Errorf("publish job %s of disk %s: %w", id, t.item.Disk, err)
		}
	}
	t.published, t.under = true, lease
	return nil
}

// newRecord is the record of a job that has not begun.
func (t *Task) newRecord(id ivd.JobID, lease ivd.LeaseID) job.Record {
	rec := job.Record{Version: job.Version, ID: id, Run: t.item.Run, Disk: t.item.Disk, Lease: lease, State: job.Queued}
	if b := t.jobs[id].Backup; b != nil {
		rec.Snapshot = b.Snapshot
	}
	return rec
}

// goOn is the record of a job that goes on under the lease given. A mover that has the
// job hands it back when it has sealed its batch.
func (t *Task) goOn(ctx context.Context, id ivd.JobID, lease ivd.LeaseID) (job.Record, error) {
	q := t.g.d.e.Queue
	for {
		rec, rev, err := q.JobRecord(ctx, t.item.Run, t.item.Disk, id)
		if err != nil || rec.Lease == lease || rec.State == job.Done {
			return rec, err
		}
		rec.Lease = lease
		if _, err = q.UpdateJobRecord(ctx, rec, rev); ivd.KindOf(err) != ivd.Conflict {
			return rec, err
		}
	}
}

// mayPublish looks, before jobs are published, whether the run is stored as ours
// still, under the lease that the jobs' records carry, and whether the item is moving.
// Kind Permanent: another coordinator has taken the run over. Kind Transient: the run
// goes on under another lease just now.
func (t *Task) mayPublish(ctx context.Context, lease ivd.LeaseID) error {
	d := t.g.d
	r, _, err := d.e.getRun(ctx, d.id)
	switch {
	case err != nil:
		return err
	case r.Owner != d.e.Instance || r.OwnerRun != d.e.start:
		return ivd.Errorf(ivd.Permanent, "publish jobs of run %s: %w", d.id, errTakenOver)
	case r.Lease != lease:
		return ivd.Errorf(ivd.Transient, "publish jobs of run %s: it is stored under lease %s, and not under %s", d.id, r.Lease, lease)
	case t.item.Step != Moving:
		return ivd.Errorf(ivd.Permanent, "publish jobs of item %s of run %s: it is %s", t.item.Key, d.id, t.item.Step)
	}
	return nil
}

// look goes over the jobs' records once.
func (g *Group) look(ctx context.Context, due map[jobKey]time.Time) (wake time.Time, done bool, err error) {
	done = true
	for _, t := range g.Tasks {
		at, all, err := t.look(ctx, due)
		if err != nil {
			return wake, false, err
		}
		done = done && all
		if !at.IsZero() && (wake.IsZero() || at.Before(wake)) {
			wake = at
		}
	}
	return wake, done, nil
}

func (t *Task) look(ctx context.Context, due map[jobKey]time.Time) (wake time.Time, done bool, err error) {
	done = true
	var lost []job.Record // for good
	for _, id := range t.item.Jobs {
		key := jobKey{t.item.Disk, id}
		rec, err := t.vouch(ctx, t.g.d.job(key))
		if err != nil {
			return wake, false, err
		}
		done = done && (rec.State == job.Done || rec.State == job.Failed)
		if rec.State != job.Failed {
			delete(due, key)
			continue
		}
		another, err := t.worthAnother(ctx, rec)
		if err != nil {
			return wake, false, err
		}
		if !another {
			lost = append(lost, rec)
			if !t.goesOn(rec) {
				return wake, false, t.givenUp(ctx, lost)
			}
			continue
		}
		done = false
		at, known := due[key]
		if !known {
			at = time.Now().Add(ledger.Pauses.After(rec.Attempt))
			due[key] = at
			t.g.d.tellAgain(t.log, "job failed", rec.Failure.Err(), "job", id, "attempt", rec.Attempt, "mover", rec.Mover)
			if err := t.retried(ctx, rec.Failure.Message); err != nil {
				return wake, false, err
			}
		}
		if rec.Failure.Kind == ivd.Expired { // the lease, perhaps
			if err := t.g.d.renewed(ctx); err != nil {
				return wake, false, err
			}
		}
		if time.Now().Before(at) {
			if wake.IsZero() || at.Before(wake) {
				wake = at
			}
			continue
		}
		if err := t.requeue(ctx, id); err != nil {
			return wake, false, err
		}
	}
	if done && len(lost) > 0 {
		return wake, false, t.givenUp(ctx, lost)
	}
	return wake, done, nil
}

// goesOn reports whether the item's other jobs are followed to their ends although it
// fails with this one.
func (t *Task) goesOn(failed job.Record) bool {
	x, ok := t.g.d.workflow.(Explainer)
	if !ok || !x.GoesOn(failed) {
		return false
	}
	if !t.failing {
		t.failing = true
		t.log.Warn("a job failed for good: the others are followed to their ends, for what they find out", "job", failed.ID, "mover", failed.Mover, "err", failed.Failure.Message)
	}
	return true
}

// givenUp is why the item failed with jobs that are not tried again.
func (t *Task) givenUp(ctx context.Context, lost []job.Record) error {
	rec := lost[len(lost)-1]
	rec.Damaged = slices.Clone(rec.Damaged)
	for _, other := range lost[:len(lost)-1] {
		rec.Unread += other.Unread
		for _, d := range other.Damaged {
			if !slices.ContainsFunc(rec.Damaged, func(o ivd.Damage) bool { return o.Pack == d.Pack }) {
				rec.Damaged = append(rec.Damaged, d)
			}
		}
	}
	err := rec.Failure.Err()
	if len(rec.Unable) > 1 || len(rec.Unable) > 0 && rec.State == job.Queued {
		err = unable(rec, err)
	}
	if x, ok := t.g.d.workflow.(Explainer); ok {
		err = x.Explain(ctx, t, rec, err)
	}
	return &ivd.Error{Kind: ivd.Permanent, Op: fmt.Sprintf("job %s, attempt %d on mover %s", rec.ID, rec.Attempt, rec.Mover), Err: err}
}

// requeue gives a failed job back to the movers, under the run's present lease.
func (t *Task) requeue(ctx context.Context, id ivd.JobID) error {
	lease := t.g.d.lease().ID
	if err := t.mayPublish(ctx, lease); err != nil {
		return err
	}
	q := t.g.d.e.Queue
	rec, rev, err := q.JobRecord(ctx, t.item.Run, t.item.Disk, id)
	if err != nil {
		return err
	}
	if rec.State == job.Failed {
		rec.State, rec.Failure, rec.Lease = job.Queued, nil, lease
		if _, err := q.UpdateJobRecord(ctx, rec, rev); err != nil {
			return err
		}
		t.published = false // until the message is stored
		t.g.d.putJob(rec)
	}
	if err := q.Publish(ctx, t.jobs[id]); err != nil {
		return err
	}
	t.published = true
	return nil
}
