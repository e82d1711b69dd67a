package backup

import (
	"context"
	"errors"

	"ivdmover/coordinator/engine"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Conclude stores the run's list of packs and then its record in the repository.
// Whatever keeps the list from being made for good does not keep the record from
// being stored.
func (w *Workflow) Conclude(ctx context.Context, v engine.View) error {
	w.forget(v.ID)
	var o Order
	if err := v.Decode(&o); err != nil {
		return err
	}
	r := v.Record()
	r.Policy = o.Policy
	for _, it := range v.Items {
		var d Disk
		if it.Decode(&d) != nil { // it has failed for that, and says so
			d = Disk{Ref: ivd.NewDiskRef("", "", ivd.DiskID(it.Key))}
		}
		if it.Result == engine.Done && !d.PointSum.IsZero() {
			r.Points = append(r.Points, pointOf(d, it, v, o.Policy))
			continue
		}
		f := it.Lost()
		f.Source, f.Disk, f.Name = d.Ref.Source(), d.Ref.ID(), d.Name
		r.Failed = append(r.Failed, f)
	}
	w.forgotten(ctx, &r)
	listed := w.listPacks(ctx, v.ID, r.Points)
	if listed != nil && ivd.KindOf(listed).Retry() {
		return listed
	}
	return errors.Join(listed, w.Runs.PutRun(ctx, r))
}

// pointOf is what the record says of a point: what the point itself says, by which
// catalogues are made.
func pointOf(d Disk, it engine.ItemView, v engine.View, policy string) format.RunPoint {
	p := format.RunPoint{
		Point: d.Point, Sum: d.PointSum, Name: d.Name, Time: v.Created, SealedAt: d.SealedAt,
		Mode: format.ReadMode(d.Mode), Geometry: d.Geometry, Policy: policy, Stats: it.Stats, Parent: d.Parent,
		ProtectedUntil: d.Protected,
	}
	if f := d.Facts; f != nil {
		p.Name, p.Datastore, p.Consistency = f.Disk.Name, f.Disk.Datastore, format.CrashConsistent
		if !f.Snapshot.Created.IsZero() {
			p.Time = f.Snapshot.Created
		}
	}
	return p
}
