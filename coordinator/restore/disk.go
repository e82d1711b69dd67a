package restore

import (
	"context"
	"fmt"

	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/ledger"
	"ivdmover/shared/ivd"
)

// madeKind is the obligation to delete a disk that a restore makes, unless it got
// its final name.
const madeKind ledger.Kind = "made"

// made is where the disk is made, and under which name.
type made struct {
	Place   ivd.DiskRef `json:"place"` // without an id
	Working string      `json:"working"`
}

// working is the name of a restore's disk until it is done. It names the run and
// the item, and no other disk has it.
func working(id ivd.RunID, key engine.ItemKey) string {
	return fmt.Sprintf("%s%s-%.8s", workingPrefix, id, key)
}

// workingPrefix is what no restored disk may be called by: a disk of such a name is
// unfinished, and is deleted.
const workingPrefix = "ivdmover-restore-"

func (t *task) working() string { return working(t.Item().Run, t.Item().Key) }

// make makes the new disk, or finds the one that was made before a restart.
func (t *task) make(ctx context.Context) error {
	if t.disk.Ref.Made() {
		return nil
	}
	o := ledger.Obligation{Run: t.Item().Run, Item: string(t.Item().Key), Kind: madeKind, Asked: true}
	m := made{Place: ivd.NewDiskRef(t.disk.Ref.Source(), t.disk.Ref.Datastore(), ""), Working: t.working()}
	e, err := t.w.Ledger.Open(ctx, o, m)
	if err != nil {
		return err
	}
	ref, known, err := t.create(ctx, e.Before, m)
	if known {
		if e := e.Answered(ctx, nil); e != nil && err == nil {
			err = e
		}
	}
	if err != nil {
		return err
	}
	t.disk.Ref = ref
	return t.Save(ctx, t.disk)
}

// create is the disk under its working name. Known: none appears any more that was
// asked for.
func (t *task) create(ctx context.Context, before bool, m made) (ref ivd.DiskRef, known bool, err error) {
	if before {
		d, err := findByName(ctx, t.vc, m.Place.Datastore(), m.Working)
		if err != nil {
			return ref, false, err
		}
		if d != nil {
			return d.Ref, true, nil
		}
	}
	mib := max(1, (t.disk.Geometry.Capacity+1<<20-1)>>20) // vSphere makes disks of whole MiB
	ref, err = t.vc.CreateDisk(ctx, m.Place.Datastore(), m.Working, mib)
	return ref, !inventory.Unanswered(err), err
}

// unfinished is the disk as vSphere shows it, which must still be this restore's:
// one that somebody renamed is not written to any more.
func (t *task) unfinished(ctx context.Context) (inventory.Disk, error) {
	d, err := t.vc.Disk(ctx, t.disk.Ref)
	if err == nil && d.Name != t.working() {
		err = &ivd.Error{
			Kind: ivd.Permanent, Err: fmt.Errorf("disk %s is called %q by now, and not %q", d.Ref.ID(), d.Name, t.working()),
			Remedy: "leave a disk that is being restored its name, and restore again",
		}
	}
	return d, err
}

// name gives the disk its final name, unless it has it since before a restart, or
// another disk has it.
func (t *task) name(ctx context.Context) error {
	d, err := t.vc.Disk(ctx, t.disk.Ref)
	if err != nil || d.Name == t.disk.Target {
		return err
	}
	if _, err := t.unfinished(ctx); err != nil {
		return err
	}
	taken, err := findByName(ctx, t.vc, t.disk.Ref.Datastore(), t.disk.Target)
	if err != nil {
		return err
	}
	if taken != nil {
		return nameTaken(t.disk.Target, taken)
	}
	return t.vc.Rename(ctx, t.disk.Ref, t.disk.Target)
}

func nameTaken(name string, by *inventory.Disk) error {
	return &ivd.Error{Kind: ivd.Exists, Err: fmt.Errorf("a disk named %q is on datastore %s already", name, by.DatastoreName), Remedy: "give another --name"}
}

// undo deletes what a restore has made and not given its name: the disk of one that
// did not come to its end, or a second one, whose creation was still under way when
// the coordinator died.
func (w *Workflow) undo(ctx context.Context, o ledger.Obligation) (found bool, err error) {
	var m made
	if err := o.Decode(&m); err != nil {
		return false, err
	}
	v, err := w.Sources.Of(m.Place.Source())
	if err != nil {
		return false, err
	}
	for {
		d, err := findByName(ctx, v, m.Place.Datastore(), m.Working)
		if err != nil || d == nil {
			return found, err
		}
		found = true
		if err := v.DeleteDisk(ctx, d.Ref); err != nil {
			return found, err
		}
	}
}

// findByName is the disk of that name on a datastore, or nil.
func findByName(ctx context.Context, v *inventory.VCenter, ds ivd.DatastoreID, name string) (*inventory.Disk, error) {
	for d, err := range v.DisksOn(ctx, ds) {
		if err != nil {
			return nil, err
		}
		if d.Name == name {
			return &d, nil
		}
	}
	return nil, nil
}
