package engine

import (
	"context"
	"errors"
	"time"

	"ivdmover/coordinator/ledger"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// clean stops what may still run, has the ledger undo what it has of the items, and
// stores their end. What cannot be cleaned now is left in the ledger, which looks
// again and again.
func (g *Group) clean(ctx context.Context) error {
	var errs []error
	for _, t := range g.Tasks {
		if t.item.Step == Ended {
			continue
		}
		if t.item.Result != Done {
			t.log.Warn("item "+string(t.item.Result), "err", t.item.Failure.Message)
			t.stopJobs(ctx)
		}
	}
	for _, t := range g.Tasks {
		if t.item.Step != Ended {
			errs = append(errs, t.clean(ctx))
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return errors.Join(errs...)
}

func (t *Task) clean(ctx context.Context) error {
	stats, w := t.item.Stats, ways{t.item.Transports, t.item.Refused}
	if recs, err := t.records(ctx); err == nil {
		if t.item.Result != Done {
			stats = sum(recs) // of what was sealed until then
		}
		for _, rec := range recs {
			w.add(rec.Transports, rec.Refused)
		}
	}
	err := t.undo(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e := t.drop(ctx); e != nil {
		t.log.Warn("deleting the item's plan and its job records failed", "err", e)
	}
	return errors.Join(err, again(ctx, func() error {
		return t.save(ctx, func(it *Item) {
			it.Step, it.Ended, it.Stats = Ended, time.Now().UTC(), stats
			it.Transports, it.Refused = w.used, w.refused
			if err != nil {
				it.Pending = err.Error()
			}
		})
	}))
}

// undo undoes what the ledger has of the item. It does not wait for what is away:
// the ledger looks again and again.
func (t *Task) undo(ctx context.Context) error {
	b := ledger.Pauses
	b.Attempts = undoAttempts
	return b.Do(ctx, func(ctx context.Context) error {
		return t.g.d.e.Ledger.Undo(ctx, t.item.Run, string(t.item.Key))
	})
}

// stopJobs takes the item's jobs from the movers and waits until none of them holds
// the disk open, since what they read from is undone next.
func (t *Task) stopJobs(ctx context.Context) {
	for _, id := range t.item.Jobs {
		err := again(ctx, func() error { return t.stopJob(ctx, id) })
		if err != nil {
			t.log.Warn("stopping a job failed", "job", id, "err", err)
		}
	}
	t.g.d.letGo(ctx, t.item)
}

func (t *Task) stopJob(ctx context.Context, id ivd.JobID) error {
	q := t.g.d.e.Queue
	rec, rev, err := q.JobRecord(ctx, t.item.Run, t.item.Disk, id)
	switch kind := ivd.KindOf(err); {
	case err == nil:
	case kind == ivd.NotFound:
		return nil
	case kind == ivd.Corrupt || kind == ivd.Unsupported:
		rec.Version = job.Version // another one takes its place
	default:
		return err
	}
	if rec.State == job.Done || rec.State == job.Failed {
		return nil
	}
	rec.State, rec.Failure = job.Failed, &ivd.Failure{Kind: ivd.Cancelled, Message: "stopped by the coordinator"}
	_, err = q.UpdateJobRecord(ctx, rec, rev)
	return err
}

// lastTry tries once more, at the run's end, to undo what could not be undone when its
// item ended, or sees that the ledger has done it: what is left then makes the run partial.
func (d *driver) lastTry(ctx context.Context) {
	for _, it := range d.view().Items {
		if it.Pending == "" || ctx.Err() != nil {
			continue
		}
		err := d.e.Ledger.Undo(ctx, d.id, string(it.Key))
		if err != nil {
			if left, e := d.e.Ledger.Has(ctx, d.id, string(it.Key)); e == nil && !left {
				err = nil
			}
		}
		stored, getErr := d.e.getItem(ctx, d.id, it.Key)
		if getErr != nil {
			d.log.Warn("reading an item at the run's end failed", "item", it.Key, "err", getErr)
			continue
		}
		stored.Pending = ""
		if err != nil {
			stored.Pending = err.Error()
		}
		if _, err := d.e.Queue.State().Update(ctx, itemKey(d.id, it.Key), stored.Item, stored.rev); err != nil {
			d.log.Warn("storing an item at the run's end failed", "item", it.Key, "err", err)
			continue
		}
		d.publish(stored.Item)
	}
}
