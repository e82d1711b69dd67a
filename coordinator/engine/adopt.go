package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ivdmover/shared/ivd"
)

// beat is how far somebody's count of beats was, and since when, by our clock.
type beat struct {
	count uint64
	since time.Time
}

// adopt takes up those of the runs that nobody drives: those of this instance's
// earlier start, at once, and those of others whose owner has been silent.
func (e *Engine) adopt(ctx context.Context, runs []Run) error {
	before := e.seen // also of runs that are gone
	e.seen = make(map[ivd.RunID]beat, len(before))
	var errs []error
	for _, r := range runs {
		if r.State.Ended() || e.find(r.ID) != nil {
			continue
		}
		if b, known := before[r.ID]; known {
			e.seen[r.ID] = b
		}
		if !e.orphan(r) {
			continue
		}
		if err := e.take(ctx, r.ID); err != nil && ivd.KindOf(err) != ivd.Conflict {
			errs = append(errs, fmt.Errorf("take over run %s: %w", r.ID, err))
		}
	}
	return errors.Join(errs...)
}

// orphan reports whether a run has no owner that lives. Of this start's own runs
// those are left that could not be driven to their end, or whose beginning was
// stored without an answer.
func (e *Engine) orphan(r Run) bool {
	if r.Repository != "" && r.Repository != e.Leases.ID() || e.Workflows[r.Kind] == nil {
		return false // another's by its nature, or a newer program's
	}
	if r.Owner == e.Instance && r.OwnerRun != e.start {
		return true
	}
	b, known := e.seen[r.ID]
	if !known || b.count != r.Beat {
		e.seen[r.ID] = beat{count: r.Beat, since: e.Now()}
		return false
	}
	return e.Now().Sub(b.since) > silentOwner
}

// take makes the run ours by compare-and-swap. It goes on under a lease of its own;
// the old one is left to expire, since a commit under it may still be on its way
// (COLLECT W7).
func (e *Engine) take(ctx context.Context, id ivd.RunID) error {
	r, rev, err := e.getRun(ctx, id)
	if err != nil || r.State.Ended() {
		return err
	}
	if r.Owner != e.Instance {
		if knows, err := e.knows(ctx, r); err != nil || !knows {
			return err
		}
	}
	lease, err := e.openLease(ctx, r)
	if err != nil {
		return err
	}
	from := r.Owner
	r.Owner, r.OwnerRun, r.Beat = e.Instance, e.start, r.Beat+1
	r.Lease, r.Deadline = lease.ID, lease.Deadline
	rev, err = e.Queue.State().Update(ctx, runKey(id), r, rev)
	if err != nil {
		e.unused(ctx, lease)
		return err
	}
	e.Log.Info("run taken up", "run", id, "from", from)
	d := e.newDriver(r, rev, lease)
	d.taken, d.begun = true, r.Counts.Items
	e.drive(d)
	return nil
}

// knows reports whether this coordinator can work on all items of a run. One that
// nobody can read keeps the others from nothing.
func (e *Engine) knows(ctx context.Context, r Run) (bool, error) {
	items, unread, err := e.readItems(ctx, r.ID)
	if err != nil {
		return false, err
	}
	for _, x := range unread {
		if ivd.KindOf(x.err) == ivd.Unsupported {
			return false, nil
		}
	}
	for _, it := range items {
		if _, err := e.Workflows[r.Kind].Tokens([]Item{it.Item}); err != nil {
			return false, nil
		}
	}
	return true, nil
}
