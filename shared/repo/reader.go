package repo

import (
	"context"
	"fmt"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// OpenPoint is R1: the lease stands, then the lists are read, then the point, which
// may be read until the lease's end (R3). A point that is condemned is refused, with
// kind NotFound. Kind Expired: the lease has ended; open another and begin again.
func (r *Repository) OpenPoint(ctx context.Context, lease ivd.LeaseID, id ivd.PointID) (Lease, format.Point, error) {
	l, err := r.Begin(ctx, lease, Reading)
	if err != nil {
		return Lease{}, format.Point{}, fmt.Errorf("open %s: %w", id, err)
	}
	condemned, err := r.isCondemned(ctx, id)
	if err != nil {
		return Lease{}, format.Point{}, fmt.Errorf("open %s: %w", id, err)
	}
	p, _, err := r.ReadPoint(ctx, id)
	if err != nil {
		return Lease{}, format.Point{}, err
	}
	if condemned {
		return Lease{}, format.Point{}, &ivd.Error{Kind: ivd.NotFound, Op: fmt.Sprintf("open %s", id), Err: fmt.Errorf("the point was given up and is being deleted"), Remedy: "choose another point of `ivd points`"}
	}
	return l, p, nil
}

// OpenPointWithoutLease opens a point where no lease can be written: it may be read as
// long as nobody deletes from the repository.
func (r *Repository) OpenPointWithoutLease(ctx context.Context, id ivd.PointID) (format.Point, error) {
	info, _, err := r.refresh(ctx)
	if err == nil {
		err = info.Allows(Reading)
	}
	if err != nil {
		return format.Point{}, fmt.Errorf("open %s: %w", id, err)
	}
	p, _, err := r.ReadPoint(ctx, id)
	return p, err
}

// PointForReading is OpenPoint for who only plans a restore.
func (r *Repository) PointForReading(ctx context.Context, lease ivd.LeaseID, id ivd.PointID) (format.Point, error) {
	_, p, err := r.OpenPoint(ctx, lease, id)
	return p, err
}

// ReadData fills p with bytes of a data pack, usually several frames that lie
// together, by one request. The caller checks each frame (Opener).
func (r *Repository) ReadData(ctx context.Context, p []byte, pack ivd.PackID, offset uint32) error {
	name := r.PackName(format.DataPack, pack)
	if err := r.st.ReadAt(ctx, name, p, int64(offset)); err != nil {
		return fmt.Errorf("read %s at %d: %w", name, offset, err)
	}
	return nil
}
