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
	var p format.Point
	l, err := r.begun(ctx, lease, id, func() (err error) {
		p, _, err = r.ReadPoint(ctx, id)
		return err
	})
	if err != nil {
		return Lease{}, format.Point{}, err
	}
	return l, p, nil
}

// PointStands is R1 for who cannot read points, and was told what is in this one by who
// can: a mover of an encrypted repository. Kinds as of OpenPoint.
func (r *Repository) PointStands(ctx context.Context, lease ivd.LeaseID, id ivd.PointID) (Lease, error) {
	if _, err := ivd.ParsePointID(string(id)); err != nil {
		return Lease{}, err
	}
	return r.begun(ctx, lease, id, func() error {
		if _, err := r.st.Stat(ctx, pointName(id)); err != nil {
			return fmt.Errorf("restore point %s: %w", id, err)
		}
		return nil
	})
}

// begun is R1, with what is done of the point itself.
func (r *Repository) begun(ctx context.Context, lease ivd.LeaseID, id ivd.PointID, point func() error) (Lease, error) {
	l, err := r.Begin(ctx, lease, Reading)
	if err != nil {
		return Lease{}, fmt.Errorf("open %s: %w", id, err)
	}
	condemned, err := r.isCondemned(ctx, id)
	if err != nil {
		return Lease{}, fmt.Errorf("open %s: %w", id, err)
	}
	if err := point(); err != nil {
		return Lease{}, err
	}
	if condemned {
		return Lease{}, &ivd.Error{Kind: ivd.NotFound, Op: fmt.Sprintf("open %s", id), Err: fmt.Errorf("the point was given up, and a collection has it on its list"), Remedy: "choose another point of `ivd points`; where the collection spares this one, it can be restored again 8 days later, when the list is removed"}
	}
	return l, nil
}

// StandsWithoutLease is PointStands where no lease can be written.
func (r *Repository) StandsWithoutLease(ctx context.Context, id ivd.PointID) error {
	info, _, err := r.refresh(ctx)
	if err == nil {
		err = info.Allows(Reading)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", id, err)
	}
	return nil
}

// OpenPointWithoutLease opens a point where no lease can be written: it may be read as
// long as nobody deletes from the repository.
func (r *Repository) OpenPointWithoutLease(ctx context.Context, id ivd.PointID) (format.Point, error) {
	if err := r.StandsWithoutLease(ctx, id); err != nil {
		return format.Point{}, err
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
