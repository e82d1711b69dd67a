package repo

import (
	"context"
	"fmt"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Reader reads one point under a lease, until the lease's end.
type Reader struct {
	r     *Repository
	lease Lease
	point format.Point
}

// OpenReader is R1: the lease stands, then the lists are read, then the point. A
// point that is condemned is refused, with kind NotFound. Kind Expired: the lease
// has ended; open another and begin again.
func (r *Repository) OpenReader(ctx context.Context, lease ivd.LeaseID, id ivd.PointID) (*Reader, error) {
	l, err := r.Begin(ctx, lease, Reading)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", id, err)
	}
	s, err := r.Standing(ctx)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", id, err)
	}
	p, _, err := r.ReadPoint(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.Point(id) {
		return nil, &ivd.Error{Kind: ivd.NotFound, Op: fmt.Sprintf("open %s", id), Err: fmt.Errorf("the point was given up and is being deleted"), Remedy: "choose another point of `ivd points`"}
	}
	return &Reader{r: r, lease: l, point: p}, nil
}

// Point is the point that is read.
func (rd *Reader) Point() format.Point { return rd.point }

// Deadline is the end of the reader's lease.
func (rd *Reader) Deadline() time.Time { return rd.lease.Deadline }

// Page reads a page of the point.
func (rd *Reader) Page(ctx context.Context, ref ivd.PageRef) (*format.Page, error) {
	if err := rd.standing(); err != nil {
		return nil, err
	}
	return rd.r.Page(ctx, ref, rd.point.Geometry)
}

// Node reads the node of a span of the point's page, which must have one. A node
// that names packs which its page does not say it needs is refused as corrupt.
func (rd *Reader) Node(ctx context.Context, page *format.Page, span ivd.SpanIndex) (*format.Node, error) {
	if err := rd.standing(); err != nil {
		return nil, err
	}
	return rd.r.SpanNode(ctx, page, span)
}

// ReadRange reads bytes of a data pack with one request, usually several frames
// that lie together. The caller checks each frame with format.OpenFrame.
func (rd *Reader) ReadRange(ctx context.Context, pack ivd.PackID, offset, length uint32) ([]byte, error) {
	if length > format.MaxPackSize {
		return nil, ivd.Errorf(ivd.Corrupt, "%s: %d bytes at %d", rd.r.PackName(format.DataPack, pack), length, offset)
	}
	b := make([]byte, length)
	return b, rd.ReadInto(ctx, b, pack, offset)
}

// ReadInto is ReadRange into the caller's memory: it fills p.
func (rd *Reader) ReadInto(ctx context.Context, p []byte, pack ivd.PackID, offset uint32) error {
	if err := rd.standing(); err != nil {
		return err
	}
	name := rd.r.PackName(format.DataPack, pack)
	if err := rd.r.st.ReadAt(ctx, name, p, int64(offset)); err != nil {
		return fmt.Errorf("read %s at %d: %w", name, offset, err)
	}
	return nil
}

// standing is R3: at the deadline the reader stops.
func (rd *Reader) standing() error {
	if now := rd.r.Now(); !now.Before(rd.lease.Deadline) {
		return ivd.Errorf(ivd.Expired, "read %s: lease %s ended at %s", rd.point.ID, rd.lease.ID, rd.lease.Deadline.Format(time.RFC3339))
	}
	return nil
}

// PointForReading is R1 for who only plans a restore: the lease stands, then the
// lists are read, then the point.
func (r *Repository) PointForReading(ctx context.Context, lease ivd.LeaseID, id ivd.PointID) (format.Point, error) {
	rd, err := r.OpenReader(ctx, lease, id)
	if err != nil {
		return format.Point{}, err
	}
	return rd.point, nil
}
