package repo

import (
	"context"
	"fmt"
	"iter"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// PointInfo is what the store says of a point.
type PointInfo struct {
	ID   ivd.PointID
	Size int64 // of the point's object
	// Unknown: the name is none that this release makes, for the reason that is given.
	// ID is then whatever follows points/. Such an object is shown, and nothing more.
	Unknown error
}

// PointsOf narrows a list of points.
type PointsOf struct {
	Source ivd.SourceID // empty: any
	Disk   ivd.DiskID   // empty: any
}

// Points yields the committed points of the domain, in no order, partial ones included. An object
// whose name is not understood is yielded as unknown where all points are asked for.
func (r *Repository) Points(ctx context.Context, of PointsOf) iter.Seq2[PointInfo, error] {
	prefix := pointsDir
	if of.Source != "" && of.Disk != "" {
		prefix += ivd.PointFolder(r.domain, of.Source, of.Disk)
	}
	return func(yield func(PointInfo, error) bool) {
		for info, err := range r.st.List(ctx, prefix) {
			if err != nil {
				yield(PointInfo{}, fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			p, here := r.pointInfo(string(info.Name[len(pointsDir):]))
			p.Size = info.Size
			if here && of.wants(p) && !yield(p, nil) {
				return
			}
		}
	}
}

// pointInfo is what a point's name says. A point of another domain that the ring knows is
// not here.
func (r *Repository) pointInfo(name string) (p PointInfo, here bool) {
	p = PointInfo{ID: ivd.PointID(name)}
	switch _, err := ivd.ParsePointID(name); {
	case err != nil:
		p.Unknown = &ivd.Error{Kind: ivd.Unsupported, Err: err, Remedy: "use a release of ivd that knows this format"}
	case p.ID.Domain() == r.domain:
	case r.knows(p.ID.Domain()):
		return p, false
	default:
		p.Unknown = ivd.Errorf(ivd.Unsupported, "restore point %s is of another domain than %s", name, r.domain)
	}
	return p, true
}

func (o PointsOf) wants(p PointInfo) bool {
	if p.Unknown != nil {
		return o == PointsOf{}
	}
	return (o.Source == "" || p.ID.Source() == o.Source) && (o.Disk == "" || p.ID.Disk() == o.Disk)
}

// ReadPoint reads a point, and tells the Sum of its object. Kind NotFound: there is
// none.
func (r *Repository) ReadPoint(ctx context.Context, id ivd.PointID) (format.Point, ivd.ContentID, error) {
	if _, err := ivd.ParsePointID(string(id)); err != nil {
		return format.Point{}, ivd.ContentID{}, err
	}
	o, err := r.get(ctx, pointName(id), format.MaxRecord)
	if err != nil {
		return format.Point{}, ivd.ContentID{}, fmt.Errorf("restore point %s: %w", id, err)
	}
	p, err := decode(ctx, r, o, format.PointMagic, func(b []byte, _ format.At) (format.Point, error) { return format.DecodePoint(b, r.info.ID, id) })
	if err != nil {
		return format.Point{}, ivd.ContentID{}, fmt.Errorf("%s: %w", o.Name, err)
	}
	if p.Domain != r.domain {
		return format.Point{}, ivd.ContentID{}, ivd.Errorf(ivd.Unsupported, "%s: it is of another domain than %s", o.Name, r.domain)
	}
	return p, format.Sum(o.Body), nil
}
