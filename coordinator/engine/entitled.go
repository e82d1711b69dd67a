package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"ivdmover/coordinator/admit"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Entitled refuses a disk that is none of a run's, or whose run is over, unless the
// ledger still has something to undo for it, which the queue may remember when it has
// lost the records of the item or the run. A disk is a run's where one of its items
// needs it for itself: one that a restore makes, too, once it is made, as long as its
// workflow lets it be written to.
func (e *Engine) Entitled(ctx context.Context, run ivd.RunID, ref ivd.DiskRef) error {
	r, _, err := e.getRun(ctx, run)
	if ivd.KindOf(err) == ivd.NotFound {
		return e.owed(ctx, run, ref, err, slices.Collect(maps.Values(e.Workflows)))
	}
	if err != nil {
		return err
	}
	w := e.Workflows[r.Kind]
	if w == nil {
		return ivd.Errorf(ivd.Unsupported, "run %s is a %q, which this program does not know", run, r.Kind)
	}
	it, err := e.itemOf(ctx, run, w, ref)
	if ivd.KindOf(err) == ivd.Denied {
		return e.owed(ctx, run, ref, err, []Workflow{w})
	}
	if err != nil {
		return err
	}
	if r.State.Ended() {
		left, err := e.Ledger.Has(ctx, run, string(it.Key))
		if err != nil {
			return err
		}
		if !left {
			return ivd.Errorf(ivd.Denied, "run %s is over: nothing is given for it", run)
		}
	}
	if g, ok := w.(Guard); ok {
		return g.MayOpen(ctx, it)
	}
	return nil
}

// owed returns refusal, unless the ledger has something to undo for the disk, whose item
// is known by the disk.
func (e *Engine) owed(ctx context.Context, run ivd.RunID, ref ivd.DiskRef, refusal error, workflows []Workflow) error {
	for _, w := range workflows {
		k, ok := w.(Keyer)
		if !ok {
			continue
		}
		for _, key := range k.Keys(ref) {
			if left, err := e.Ledger.Has(ctx, run, string(key)); left || err != nil {
				return err
			}
		}
	}
	return refusal
}

// itemOf is the item that needs a disk for itself: read by its key where that is known
// by the disk, and looked for among the run's items where it is not.
func (e *Engine) itemOf(ctx context.Context, run ivd.RunID, w Workflow, ref ivd.DiskRef) (Item, error) {
	var items []storedItem
	var unread []unreadItem
	var err error
	if k, ok := w.(Keyer); ok {
		items, err = e.getItems(ctx, run, k.Keys(ref))
	} else {
		items, unread, err = e.readItems(ctx, run)
	}
	if err != nil {
		return Item{}, err
	}
	i := slices.IndexFunc(items, func(it storedItem) bool {
		tokens, err := w.Tokens([]Item{it.Item})
		return err == nil && slices.Contains(tokens, admit.Disk(ref.Source(), ref.ID()))
	})
	if i < 0 && len(unread) > 0 {
		return Item{}, fmt.Errorf("whether disk %s is one of run %s is not known: %w", ref.ID(), run, unread[0].err)
	}
	if i < 0 {
		return Item{}, ivd.Errorf(ivd.Denied, "disk %s is none of run %s: nothing is given for it", ref.ID(), run)
	}
	return items[i].Item, nil
}

// getItems reads those of some items that are there.
func (e *Engine) getItems(ctx context.Context, run ivd.RunID, keys []ItemKey) (items []storedItem, err error) {
	for _, key := range keys {
		it, err := e.getItem(ctx, run, key)
		if ivd.KindOf(err) == ivd.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		items = append(items, it)
	}
	return items, nil
}

// Claimed refuses a job that the process which asks has not claimed, or that goes on from
// what nobody vouches for: then whoever drives the run has it begin anew. Kind Transient:
// both may be different in a moment.
func (e *Engine) Claimed(ctx context.Context, q job.LoginRequest) error {
	_, _, err := e.claimed(ctx, q)
	return err
}

func (e *Engine) claimed(ctx context.Context, q job.LoginRequest) (Run, Item, error) {
	r, _, err := e.getRun(ctx, q.Run)
	if err != nil {
		return r, Item{}, err
	}
	it, err := e.itemOf(ctx, q.Run, e.Workflows[r.Kind], q.Disk)
	if err != nil {
		return r, it, err
	}
	rec, _, err := e.Queue.JobRecord(ctx, q.Run, it.Disk, q.Job)
	switch {
	case err != nil:
		return r, it, err
	case rec.State != job.Running || rec.Mover != q.Mover || rec.Process != q.Process:
		return r, it, ivd.Errorf(ivd.Transient, "job %s of disk %s is not claimed by process %s of mover %s", q.Job, q.Disk.ID(), q.Process, q.Mover)
	}
	if err := e.Fleet.Vouched(ctx, rec); err != nil {
		return r, it, ivd.Errorf(ivd.Transient, "nothing is given for it yet: %w", err)
	}
	return r, it, nil
}

// Reading is what a job reads of the repository.
type Reading struct {
	Point ivd.PointID
	Lease ivd.LeaseID   // under which; empty: without one
	Packs []ivd.PackRef // in place of a point
}

// Reads is what a job reads that the process which asks has claimed, under the lease that
// the run's own record names: a mover writes its job's record. Kind Denied: its run is
// over, or is none that reads points.
func (e *Engine) Reads(ctx context.Context, q job.LoginRequest) (Reading, error) {
	r, it, err := e.claimed(ctx, q)
	if err != nil {
		return Reading{}, err
	}
	w, reads := e.Workflows[r.Kind].(Reader)
	switch {
	case !reads:
		return Reading{}, ivd.Errorf(ivd.Denied, "run %s is a %s, which reads no restore point", r.ID, r.Kind)
	case r.State.Ended():
		return Reading{}, ivd.Errorf(ivd.Denied, "run %s is over", r.ID)
	case !slices.Contains(it.Jobs, q.Job):
		return Reading{}, ivd.Errorf(ivd.Denied, "run %s has no job %s of disk %s", r.ID, q.Job, q.Disk.ID())
	}
	var reading Reading
	if r.LeaseKind != NoLease {
		reading.Lease = r.Lease
	}
	if p, ok := w.(PackReader); ok {
		if reading.Packs, err = p.ReadsPacks(it); err != nil || len(reading.Packs) > 0 {
			return reading, err
		}
	}
	reading.Point, err = w.Reads(it)
	return reading, err
}
