package restore

import (
	"context"

	"ivdmover/coordinator/engine"
	"ivdmover/shared/ivd"
)

// past is a restore that is over, and the disk that it is known to have given its
// final name, if any.
type past struct {
	claim
	named ivd.DiskID
}

// Sweep deletes disks under the working names of restores that are over: one whose
// creation vSphere brought to its end only after the ledger had given it up. It
// deletes nothing by itself: it opens the obligation anew and has the ledger undo it,
// which looks at the world as ever. What a restore has made and named is the user's,
// whatever it is called by now.
func (w *Workflow) Sweep(ctx context.Context, r engine.Records) error {
	items, err := r.Ended(ctx, Kind, 0)
	if err != nil {
		return err
	}
	over := map[place]map[string]past{} // by their working names
	for _, it := range items {
		var d Disk
		if it.Decode(&d) != nil {
			continue // it has failed for that; the ledger knows where its disk is made
		}
		p := past{claim: claim{it.Run, it.Key}}
		if it.Result == engine.Done {
			p.named = d.Ref.ID()
		}
		at := place{d.Ref.Source(), d.Ref.Datastore()}
		if over[at] == nil {
			over[at] = map[string]past{}
		}
		over[at][p.name()] = p
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

func (w *Workflow) sweepPlace(ctx context.Context, at place, names map[string]past) error {
	v, err := w.Sources.Of(at.source)
	if err != nil {
		return err
	}
	disks, sick, err := w.names.look(ctx, v, at.datastore, namesKept, func(name string) bool { return names[name].run != "" })
	if err != nil {
		return err
	}
	for _, err := range sick {
		w.Log.Warn("looking at a disk for one that came late failed", "source", at.source, "datastore", at.datastore, "err", err)
	}
	for _, d := range disks {
		p := names[d.Name]
		if d.Ref.ID() == p.named {
			continue
		}
		w.Log.Warn("a disk has the working name of a restore that is over", "run", p.run, "disk", d.Ref.ID(), "name", d.Name)
		if _, err := w.open(ctx, p.claim, made{Place: d.Ref, Named: p.named}, false); err != nil {
			return err
		}
		if err := w.Ledger.Undo(ctx, p.run, string(p.item)); err != nil {
			w.Log.Warn("cleaning up what a restore has left failed; the ledger tries it again", "run", p.run, "disk", d.Ref.ID(), "err", err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}
