package collect

import (
	"cmp"
	"context"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

// lockedUntil says until when an object is locked in the store; zero: it is not, or it is
// gone. To delete a locked object would hide it and free nothing: it stays on no list, and
// is found again once its lock has ended.
func (c *Collector) lockedUntil(ctx context.Context, name store.Name) (time.Time, error) {
	st := c.r.Store()
	p := st.Properties()
	if !p.MayLock {
		return time.Time{}, nil
	}
	until, err := st.LockedUntil(ctx, name)
	switch kind := ivd.KindOf(err); {
	case kind == ivd.NotFound && err != nil, kind == ivd.Denied && !p.Locks.On():
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, err
	}
	if !c.r.Now().Before(until) {
		return time.Time{}, nil
	}
	return until, nil
}

// packLocked reports whether a pack is locked. That one is which was stored so lately that
// its first lock still lasts, needs no request.
func (c *Collector) packLocked(ctx context.Context, kind format.PackKind, id ivd.PackID, modified time.Time) (bool, error) {
	if l := c.r.Store().Properties().Locks; l.On() && c.r.Now().Before(l.Until(modified)) {
		return true, nil
	}
	until, err := c.lockedUntil(ctx, c.r.PackName(kind, id))
	return !until.IsZero(), err
}

// lockedPoints are the points, of those that were given up, which are locked in the store.
func (c *Collector) lockedPoints(ctx context.Context, all []disk, candidate func(ivd.PointID) bool) (map[ivd.PointID]time.Time, error) {
	locked := map[ivd.PointID]time.Time{}
	for _, d := range all {
		for _, id := range d {
			if !candidate(id) {
				continue
			}
			until, err := c.lockedUntil(ctx, c.r.PointName(id))
			if err != nil {
				return nil, err
			}
			if !until.IsZero() {
				locked[id] = until
			}
		}
	}
	return locked, nil
}

// keptBy says by what a point stays that was given up: a person's mark, or a lock.
func keptBy(marks *repo.Marks, locked map[ivd.PointID]time.Time) func(ivd.PointID) string {
	return func(id ivd.PointID) string { return cmp.Or(marks.Of(id).Kept(), whyLocked(locked[id])) }
}

// whyLocked is why a locked point stays, in the manner of a mark's; empty: it is not
// locked.
func whyLocked(until time.Time) string {
	if until.IsZero() {
		return ""
	}
	return "locked in the store until " + until.Format(time.RFC3339)
}
