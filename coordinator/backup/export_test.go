package backup

import (
	"context"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// ParentOf is the point that a disk builds on, by what is stored of it.
func (w *Workflow) ParentOf(ctx context.Context, d Disk) (ivd.PointID, error) {
	p, err := (&task{w: w, log: w.Log, disk: d}).parent(ctx)
	if p == nil {
		return "", err
	}
	return p.ID, err
}

// ListPacks stores the list of the packs that a run's points have added.
func (w *Workflow) ListPacks(ctx context.Context, run ivd.RunID, points ...ivd.PointID) error {
	var all []format.RunPoint
	for _, id := range points {
		all = append(all, format.RunPoint{Point: id})
	}
	return w.listPacks(ctx, run, all)
}

// SetTrackingTime sets the time that a small disk has for calls about tracking.
func (w *Workflow) SetTrackingTime(d time.Duration) { w.trackingTime = d }

// SetNow sets the clock by which calls about tracking that hang are remembered.
func (w *Workflow) SetNow(now func() time.Time) { w.now = now }
