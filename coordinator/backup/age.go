package backup

import (
	"fmt"
	"time"

	"ivdmover/shared/ivd"
)

// age notes since when there is the disk's snapshot, where that is not known: by our
// clock, which vSphere's may be ahead of.
func (t *task) age(made time.Time) {
	if now := time.Now(); made.After(now) {
		made = now
	}
	if t.disk.SnappedAt.IsZero() {
		t.disk.SnappedAt = made.UTC()
	}
	t.bound()
}

// bound has the disk's attempt end when its snapshot is too old: the longer it lives, the
// more its datastore fills, and the longer its deletion takes.
func (t *task) bound() {
	if t.w.SnapshotAge == nil || t.disk.SnappedAt.IsZero() {
		return
	}
	limit := t.w.SnapshotAge(t.disk.Ref.Source())
	if limit <= 0 {
		return
	}
	t.g.EndAt(t.disk.SnappedAt.Add(limit), &ivd.Error{
		Kind:   ivd.Permanent,
		Err:    fmt.Errorf("the disk's snapshot has reached the age of %s, and the backup is not done", limit),
		Remedy: "see with `ivd run show` what took so long; start more movers, or raise vcenters[].limits.snapshot_age",
	})
}
