package restore

import (
	"context"
	"fmt"

	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// claim is by what a disk is known to be one restore's own, and unfinished: its
// working name, and marks that name the run and the item. It gets both in the call
// that makes it, and loses them when the restore has ended: so what has the name and
// not the marks is somebody else's, and is left alone. Where vSphere keeps no marks
// the name stands for them: it has the run's id, and is not met by accident.
type claim struct {
	run  ivd.RunID
	item engine.ItemKey
}

// name is the working name. It names the run and the item.
func (c claim) name() string { return fmt.Sprintf("%s%s-%.8s", inventory.WorkingPrefix, c.run, c.item) }

func (c claim) marks() []inventory.Mark {
	return []inventory.Mark{inventory.NewMark("run", string(c.run)), inventory.NewMark("item", string(c.item))}
}

// check refuses a disk that does not show the claim, or not any more.
func (c claim) check(v *inventory.VCenter, d inventory.Disk) error {
	var err error
	switch {
	case d.Name != c.name():
		err = fmt.Errorf("disk %s is called %q by now, and not %q", d.Ref.ID(), d.Name, c.name())
	case v.KeepsMarks() && !d.Carries(c.marks()...):
		err = fmt.Errorf("disk %s is called %q, and its metadata does not say that this restore has made it", d.Ref.ID(), d.Name)
	default:
		return nil
	}
	return &ivd.Error{Kind: ivd.Permanent, Err: err, Remedy: "leave a disk that is being restored its name and its metadata, and restore again"}
}

// end is the record that the restore has ended, or nil. What cannot be read is no
// absence.
func (w *Workflow) end(ctx context.Context, c claim) (*format.Restored, error) {
	r, err := w.Repo.ReadRestored(ctx, c.run, string(c.item))
	if ivd.KindOf(err) == ivd.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("has the restore ended: %w", err)
	}
	return &r, nil
}

// restored is the disk that a restore has made and that is its owner's.
func restored(r *format.Restored) ivd.DiskRef { return ivd.NewDiskRef(r.Source, r.Datastore, r.Disk) }

// MayOpen refuses a login to a disk that a restore must not write to: one that does
// not show its claim, and one whose restore has ended.
func (w *Workflow) MayOpen(ctx context.Context, it engine.Item) error {
	var d Disk
	if err := it.Decode(&d); err != nil {
		return err
	}
	v, err := w.Sources.Of(d.Ref.Source())
	if err != nil {
		return err
	}
	c := claim{it.Run, it.Key}
	now, err := v.Disk(ctx, d.Ref)
	if err == nil {
		err = c.check(v, now)
	}
	if err != nil {
		return err
	}
	r, err := w.end(ctx, c)
	if err == nil && r != nil {
		err = ivd.Errorf(ivd.Denied, "the restore to disk %s has ended: nothing is given for it", d.Ref.ID())
	}
	return err
}
