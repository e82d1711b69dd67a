package backup

import (
	"context"

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
