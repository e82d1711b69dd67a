package restore

import (
	"context"
	"fmt"

	"ivdmover/coordinator/engine"
	"ivdmover/shared/ivd"
)

// place is where restores make their disks.
type place struct {
	source    ivd.SourceID
	datastore ivd.DatastoreID
}

// ended is a restored disk's part of a run that has ended.
type ended struct {
	engine.Item
	disk Disk
}

// Sweep deletes disks under the working names of restores that have ended: one
// whose creation vSphere brought to its end only after the ledger had given it up.
// What a restore has made and named is the user's, whatever it is called by now.
func (w *Workflow) Sweep(ctx context.Context, r engine.Records) error {
	items, err := r.Ended(ctx, Kind)
	if err != nil {
		return err
	}
	over := map[place]map[string]ended{} // by their working names
	for _, it := range items {
		e := ended{Item: it}
		if err := it.Decode(&e.disk); err != nil {
			return err
		}
		at := place{e.disk.Ref.Source(), e.disk.Ref.Datastore()}
		if over[at] == nil {
			over[at] = map[string]ended{}
		}
		over[at][working(it.Run, it.Key)] = e
	}
	for at, names := range over {
		if err := w.sweepPlace(ctx, at, names); err != nil {
			w.Log.Warn("looking for disks that came late failed", "source", at.source, "datastore", at.datastore, "err", err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

func (w *Workflow) sweepPlace(ctx context.Context, at place, names map[string]ended) error {
	v, err := w.Sources.Of(at.source)
	if err != nil {
		return err
	}
	for d, err := range v.DisksOn(ctx, at.datastore) {
		if err != nil {
			return err
		}
		e, ours := names[d.Name]
		if !ours || e.Result == engine.Done && e.disk.Ref.ID() == d.Ref.ID() {
			continue
		}
		w.Log.Warn("a disk was left by a restore that is over, and is deleted", "run", e.Run, "disk", d.Ref.ID(), "name", d.Name)
		if err := v.DeleteDisk(ctx, d.Ref); err != nil {
			return fmt.Errorf("what a restore has left: %w", err)
		}
	}
	return nil
}
