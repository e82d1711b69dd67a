package restore

import (
	"context"
	"errors"

	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/ledger"
	"ivdmover/shared/ivd"
)

// madeKind is the obligation to delete a disk that a restore makes, unless the
// restore has ended.
const madeKind ledger.Kind = "made"

// made is where the disk is made.
type made struct {
	Place ivd.DiskRef `json:"place"` // without an id
	// Named: this one is known to have got its final name, and is left alone, whatever
	// its owner calls it by now.
	Named ivd.DiskID `json:"named,omitempty"`
}

// undo deletes what a restore has made and not brought to its end: the disk of one
// that failed, or a second one, whose creation was still under way when the
// coordinator died. The disk of a restore that has ended is never deleted: it gets
// its name, where it has not got it yet.
func (w *Workflow) undo(ctx context.Context, o ledger.Obligation) (found bool, err error) {
	var m made
	if err := o.Decode(&m); err != nil {
		return false, err
	}
	v, err := w.Sources.Of(m.Place.Source())
	if err != nil {
		return false, err
	}
	c := claim{o.Run, engine.ItemKey(o.Item)}
	disks, sick, err := w.names.named(ctx, v, m.Place.Datastore(), c.name(), namesKept)
	if err = errors.Join(append(sick, err)...); err != nil { // a sick one may be ours
		return false, err
	}
	for _, d := range disks {
		if d.Ref.ID() == m.Named {
			continue
		}
		did, err := w.undoOne(ctx, v, c, d)
		found = found || did
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

// undoOne does what is left to do with a disk under the working name. It looks at
// the repository, and at the obligation, for each disk anew: to delete the one before
// may have taken long.
func (w *Workflow) undoOne(ctx context.Context, v *inventory.VCenter, c claim, d inventory.Disk) (found bool, err error) {
	r, err := w.end(ctx, c)
	if err != nil {
		return false, err
	}
	if r != nil && restored(r) == d.Ref {
		w.Log.Info("a disk whose restore has ended gets its name", "run", c.run, "disk", d.Ref.ID(), "name", r.Name)
		return true, w.give(ctx, v, c, r)
	}
	if err := c.check(v, d); err != nil {
		w.Log.Warn("a disk has the working name of a restore that has not made it, and is left alone", "run", c.run, "disk", d.Ref.ID(), "err", err)
		return false, nil
	}
	if _, err := w.Ledger.Get(ctx, c.run, string(c.item), madeKind); err != nil {
		return false, err // somebody else has closed it, or it cannot be known
	}
	return true, v.DeleteDisk(ctx, d.Ref)
}
