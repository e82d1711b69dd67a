package engine

import (
	"context"
	"errors"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// errRecordsLost: the queue has no record of a run that is driven here.
var errRecordsLost = &ivd.Error{
	Kind: ivd.Permanent, Err: errors.New("the queue has lost the run's records"),
	Remedy: "start it again, and see in the log of the queue's server what became of its files",
}

// lost reports whether the queue has lost the records of the run that is driven.
func (d *driver) lost(ctx context.Context) bool {
	if errors.Is(context.Cause(ctx), errRecordsLost) {
		return true
	}
	return ctx.Err() == nil && errors.Is(d.update(ctx, func(r *Run) { r.Beat++ }), errRecordsLost)
}

// bury ends a run whose records are lost: what is known of it here is stored anew, as
// over, and what it has left in the world is swept up by that.
func (d *driver) bury(ctx context.Context) {
	d.log.Error("the run ends: the queue has lost its records", "remedy", errRecordsLost.Remedy)
	if err := d.abandon(ctx); err != nil {
		d.log.Error("storing that the run has ended failed", "err", err)
	}
	d.endLease(ctx)
	if err := d.e.sweep(ctx); err != nil && ctx.Err() == nil {
		d.log.Warn("looking for what the run has left failed; it is tried again within the hour", "err", err)
	}
}

// abandon stores the run and its items as over, and its summary.
func (d *driver) abandon(ctx context.Context) error {
	d.abandonItems()
	v := d.view()
	v.State, v.Ended = d.result(), time.Now().UTC()
	for _, it := range v.Items {
		d.letGo(ctx, it.Item)
	}
	d.conclude(ctx, v)
	return again(ctx, func() error {
		for _, it := range v.Items {
			if _, err := d.e.Queue.State().Put(ctx, itemKey(d.id, it.Key), it.Item); err != nil {
				return err
			}
		}
		_, err := d.e.Queue.State().Create(ctx, runKey(d.id), v.Run)
		if ivd.KindOf(err) == ivd.Exists { // a try before this one
			return nil
		}
		return err
	})
}

// abandonItems ends the items that have not ended.
func (d *driver) abandonItems() {
	for _, it := range d.view().Items {
		if it.Step == Ended {
			continue
		}
		if it.Result != Done {
			it.Result, it.Failure = Failed, ivd.FailureOf(errRecordsLost)
		}
		it.Step, it.Ended = Ended, time.Now().UTC()
		d.publish(it.Item)
	}
}

// letGo waits until no mover holds the item's disk open, since what they read from is
// undone next.
func (d *driver) letGo(ctx context.Context, it Item) {
	if len(it.Jobs) == 0 {
		return
	}
	ctx, stop := context.WithTimeout(ctx, letGoTimeout)
	defer stop()
	for {
		held, err := d.e.Fleet.Holds(ctx, it.Run, it.Disk)
		if err == nil && !held {
			return
		}
		if pause.For(ctx, time.Second) != nil {
			d.log.Warn("a mover still holds the disk", "item", it.Key, "err", err)
			return
		}
	}
}
