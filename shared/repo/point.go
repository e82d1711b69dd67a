package repo

import (
	"context"
	"fmt"
	"iter"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// PointInfo is what the store says of a point.
type PointInfo struct {
	ID        ivd.PointID
	Size      int64     // of the point's object
	Committed time.Time // by the store's clock: when all that the point names existed
}

// Points yields the committed points of a disk, or of all disks where disk is
// empty, in no order. Objects whose names are no point's are left out.
func (r *Repository) Points(ctx context.Context, disk ivd.DiskID) iter.Seq2[PointInfo, error] {
	prefix := pointsDir
	if disk != "" {
		prefix += string(disk) + "/"
	}
	return func(yield func(PointInfo, error) bool) {
		for info, err := range r.st.List(ctx, prefix) {
			if err != nil {
				yield(PointInfo{}, fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			id, err := ivd.ParsePointID(string(info.Name[len(pointsDir):]))
			if err != nil {
				continue
			}
			if !yield(PointInfo{ID: id, Size: info.Size, Committed: info.Modified}, nil) {
				return
			}
		}
	}
}

// ReadPoint reads a point. Kind NotFound: there is none. Kind Expired: the object
// came after its lease's end, where the store does not refuse that itself, and
// counts as never committed (G3).
func (r *Repository) ReadPoint(ctx context.Context, id ivd.PointID) (format.Point, PointInfo, error) {
	if _, err := ivd.ParsePointID(string(id)); err != nil {
		return format.Point{}, PointInfo{}, err
	}
	o, err := r.get(ctx, pointName(id), format.MaxRecord)
	if err != nil {
		return format.Point{}, PointInfo{}, fmt.Errorf("restore point %s: %w", id, err)
	}
	p, err := format.DecodePoint(o.Body)
	if err != nil {
		return format.Point{}, PointInfo{}, fmt.Errorf("%s: %w", o.Name, err)
	}
	if p.ID != id || p.Repository != r.info.ID {
		return format.Point{}, PointInfo{}, ivd.Errorf(ivd.Corrupt, "%s: it is point %s of repository %s", o.Name, p.ID, p.Repository)
	}
	if !r.st.Properties().RefusesLate && !o.Modified.Before(p.LeaseDeadline) {
		return format.Point{}, PointInfo{}, ivd.Errorf(ivd.Expired, "%s: stored at %s, after its lease's end at %s: it is void", o.Name, o.Modified.UTC().Format(time.RFC3339), p.LeaseDeadline.Format(time.RFC3339))
	}
	return p, PointInfo{ID: id, Size: o.Size, Committed: o.Modified}, nil
}
