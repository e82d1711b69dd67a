package restore

import (
	"cmp"
	"context"

	"ivdmover/coordinator/engine"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Conclude stores the run's summary in the repository, which shows the run when the
// queue does not know it any more. Where nothing can be written there is none.
func (w *Workflow) Conclude(ctx context.Context, v engine.View) error {
	r := v.Record()
	for _, it := range v.Items {
		var d Disk
		if it.Decode(&d) != nil { // it has failed for that, and says so: no more than its key is known
			d = Disk{}
		}
		if it.Result == engine.Done {
			r.Restored = append(r.Restored, format.RunRestore{
				Point: d.From, Name: d.Name, Source: d.Ref.Source(), Datastore: d.Ref.Datastore(), Disk: d.Ref.ID(), Target: d.Target,
				Geometry: d.Geometry, Stats: it.Stats,
			})
			continue
		}
		f := it.Lost()
		f.Source, f.Disk, f.Name, f.Point = d.Ref.Source(), cmp.Or(d.From.Disk(), ivd.DiskID(it.Key)), d.Name, d.From
		r.Failed = append(r.Failed, f)
	}
	err := w.Runs.PutRun(ctx, r)
	if ivd.KindOf(err) == ivd.Denied && v.LeaseKind == engine.NoLease {
		return nil
	}
	return err
}
