package run

import (
	"context"
	"fmt"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
)

// publishJobs plans the disk's jobs, stores a record for each, and puts those on
// the queue that no mover has had. To do it twice does no harm: records are there
// already, and a message that is delivered twice finds its job taken.
func (t *task) publishJobs(ctx context.Context) error {
	if err := t.plan(ctx); err != nil {
		return err
	}
	for _, id := range t.rec.Jobs {
		j := t.jobs[id]
		rec := job.Record{Version: job.Version, ID: id, Run: j.Run, Disk: j.Disk.ID(), Snapshot: t.rec.Snapshot, Lease: j.Lease, State: job.Queued}
		err := t.s.Queue.CreateJobRecord(ctx, rec)
		if ivd.KindOf(err) == ivd.Exists {
			rec, _, err = t.s.Queue.JobRecord(ctx, j.Run, j.Disk.ID(), id)
		}
		if err != nil {
			return fmt.Errorf("store job %s of disk %s: %w", id, t.rec.Ref.ID(), err)
		}
		if rec.State == job.Failed {
			continue // whether it is tried again is decided where jobs are followed
		}
		if err := t.s.Queue.Publish(ctx, j); err != nil {
			return fmt.Errorf("publish job %s of disk %s: %w", id, t.rec.Ref.ID(), err)
		}
	}
	t.published = true
	return nil
}

// plan fills t.jobs from what is stored of the disk: the same each time.
func (t *task) plan(ctx context.Context) error {
	if t.jobs != nil {
		return nil
	}
	return t.kind().plan(ctx)
}

// setJobs takes the planned jobs over.
func (t *task) setJobs(ctx context.Context, jobs []job.Job) error {
	byID := make(map[ivd.JobID]job.Job, len(jobs))
	ids := make([]ivd.JobID, len(jobs))
	for i, j := range jobs {
		byID[j.ID], ids[i] = j, j.ID
	}
	if err := t.save(ctx, func(d *Disk) { d.Jobs = ids }); err != nil {
		return err
	}
	t.jobs = byID
	return nil
}

// template is what all jobs of the disk have in common.
func (t *task) template(ctx context.Context, k job.Kind) job.Job {
	return job.Job{
		Version: job.Version, Kind: k, Class: job.AnyClass,
		Run: t.rec.Run, Lease: t.run.lease.ID, Deadline: t.run.lease.Deadline,
		Repository: t.s.Repo.ID(), Disk: t.rec.Ref, Name: t.rec.Name, Geometry: t.rec.Geometry,
		Identity: identity(t.rec.Run, t.rec.Ref.ID()), Allows: t.allows(ctx),
	}
}

// move follows the disk's jobs until all are done, and gives those that failed
// another attempt where that can help.
func (t *task) move(ctx context.Context) error {
	due := map[ivd.JobID]time.Time{} // when a failed job is tried again
	slow := time.NewTicker(recordsEvery)
	defer slow.Stop()
	for {
		if !t.published { // after a restart, and when the queue was away, a message may not have been sent
			if err := t.publishJobs(ctx); err != nil {
				return err
			}
		}
		if err := t.run.lasts(t.s.Repo.Now()); err != nil {
			return err
		}
		changed := t.run.next()
		wake, done, err := t.look(ctx, due)
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
		case <-changed:
		case <-timer:
		case <-slow.C: // whatever was not told, and a message that was lost
			recs, _, _ := t.records(ctx) // none where it fails: there is a next time
			for _, rec := range recs {
				t.run.putJob(rec)
			}
			t.published = false
		}
	}
}

// look goes over the jobs' records once.
func (t *task) look(ctx context.Context, due map[ivd.JobID]time.Time) (wake time.Time, done bool, err error) {
	done = true
	for _, id := range t.rec.Jobs {
		rec := t.run.job(t.rec.Ref.ID(), id)
		done = done && rec.State == job.Done
		if rec.State != job.Failed {
			delete(due, id)
			continue
		}
		if !rec.Failure.Kind.Retry() || rec.Attempt >= jobAttempts {
			return wake, false, &ivd.Error{Kind: ivd.Permanent, Op: fmt.Sprintf("job %s, attempt %d on mover %s", id, rec.Attempt, rec.Mover), Err: rec.Failure.Err()}
		}
		at, known := due[id]
		if !known {
			at = time.Now().Add(stepping.After(rec.Attempt))
			due[id] = at
			t.log.Warn("job failed and is tried again", "job", id, "attempt", rec.Attempt, "mover", rec.Mover, "err", rec.Failure.Message)
			if err := t.retried(ctx, rec.Failure.Message); err != nil {
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
	return wake, done, nil
}

// requeue gives a failed job back to the movers.
func (t *task) requeue(ctx context.Context, id ivd.JobID) error {
	rec, rev, err := t.s.Queue.JobRecord(ctx, t.rec.Run, t.rec.Ref.ID(), id)
	if err != nil {
		return err
	}
	if rec.State == job.Failed {
		rec.State, rec.Failure = job.Queued, nil
		if _, err := t.s.Queue.UpdateJobRecord(ctx, rec, rev); err != nil {
			return err
		}
		t.published = false // until the message is stored
		t.run.putJob(rec)
	}
	if err := t.s.Queue.Publish(ctx, t.jobs[id]); err != nil {
		return err
	}
	t.published = true
	return nil
}

// stopJobs takes the disk's jobs from the movers and waits until none of them holds
// the disk open, since its snapshot is to be deleted next.
func (t *task) stopJobs(ctx context.Context) {
	for _, id := range t.rec.Jobs {
		err := again(ctx, func() error { return t.stopJob(ctx, id) })
		if err != nil {
			t.log.Warn("stop the disk's job", "job", id, "err", err)
		}
	}
	if len(t.rec.Jobs) == 0 {
		return
	}
	ctx, stop := context.WithTimeout(ctx, letGoTimeout)
	defer stop()
	for {
		held, err := t.held(ctx)
		if err == nil && !held {
			return
		}
		if pause.For(ctx, time.Second) != nil {
			t.log.Warn("a mover still holds the disk", "err", err)
			return
		}
	}
}

func (t *task) stopJob(ctx context.Context, id ivd.JobID) error {
	rec, rev, err := t.s.Queue.JobRecord(ctx, t.rec.Run, t.rec.Ref.ID(), id)
	if ivd.KindOf(err) == ivd.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if rec.State == job.Done || rec.State == job.Failed {
		return nil
	}
	rec.State, rec.Failure = job.Failed, &ivd.Failure{Kind: ivd.Cancelled, Message: "stopped by the coordinator"}
	_, err = t.s.Queue.UpdateJobRecord(ctx, rec, rev)
	return err
}

// held tells whether a mover says that it works on the disk.
func (t *task) held(ctx context.Context) (bool, error) {
	movers, err := t.s.Queue.Movers(ctx)
	for _, m := range movers {
		for _, a := range m.Active {
			if a.Run == t.rec.Run && a.Disk == t.rec.Ref.ID() {
				return true, nil
			}
		}
	}
	return false, err
}
