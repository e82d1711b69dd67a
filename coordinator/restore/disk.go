package restore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/ledger"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

func (t *task) claim() claim { return claim{t.Item().Run, t.Item().Key} }

// make makes the new disk, or finds the one that was made before a restart.
func (t *task) make(ctx context.Context) error {
	if t.disk.Ref.Made() {
		return nil
	}
	e, err := t.w.open(ctx, t.claim(), made{Place: t.disk.Ref}, true)
	if err != nil {
		return err
	}
	ref, known, err := t.create(ctx, e.Before)
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

// open opens the obligation to delete what a claim makes. Asked: a disk is about to
// be asked for.
func (w *Workflow) open(ctx context.Context, c claim, m made, asked bool) (*ledger.Entry, error) {
	m.Place = ivd.NewDiskRef(m.Place.Source(), m.Place.Datastore(), "")
	return w.Ledger.Open(ctx, ledger.Obligation{Run: c.run, Item: string(c.item), Kind: madeKind, Asked: asked}, m)
}

// create is the disk under its working name. Known: none appears any more that was
// asked for.
func (t *task) create(ctx context.Context, before bool) (ref ivd.DiskRef, known bool, err error) {
	at, c := t.disk.Ref.Datastore(), t.claim()
	if before {
		switch r, err := t.w.end(ctx, c); {
		case err != nil:
			return ref, false, err
		case r != nil:
			return restored(r), true, nil
		}
		named, sick, err := t.w.names.named(ctx, t.vc, at, c.name(), namesKept)
		if err = errors.Join(append(sick, err)...); err != nil { // a sick one may be ours
			return ref, false, err
		}
		for _, d := range named {
			if c.check(t.vc, d) == nil {
				return d.Ref, true, nil
			}
		}
	}
	mib := max(1, (t.disk.Geometry.Capacity+1<<20-1)>>20) // vSphere makes disks of whole MiB
	ref, err = t.vc.CreateDisk(ctx, at, c.name(), mib, c.marks()...)
	return ref, !inventory.Unanswered(err), err
}

// ended is the record that the restore to this disk has ended, or nil. Where there is
// one nothing is left to write, whatever is stored of the item.
func (t *task) ended(ctx context.Context) (*format.Restored, error) {
	r, err := t.w.end(ctx, t.claim())
	if err == nil && r != nil && restored(r) != t.disk.Ref {
		err = ivd.Errorf(ivd.Permanent, "the restore has ended with disk %s, and not with %s", r.Disk, t.disk.Ref.ID())
	}
	return r, err
}

// unfinished is the disk as vSphere shows it, which must still be this restore's:
// one that somebody renamed is not written to any more.
func (t *task) unfinished(ctx context.Context) (inventory.Disk, error) {
	d, err := t.vc.Disk(ctx, t.disk.Ref)
	if err == nil {
		err = t.claim().check(t.vc, d)
	}
	return d, err
}

// finish gives the disk its final name, once its jobs have done all that was planned.
// That the restore has ended is stored before: from then on no coordinator deletes
// the disk, not even one that knows nothing of what this one does. Only where a run
// works without a lease, since nothing can be written to the repository, name and
// marks have to do.
func (t *task) finish(ctx context.Context, leased bool, recs []job.Record) error {
	r, err := t.ended(ctx)
	if err != nil {
		return err
	}
	if r != nil {
		return t.w.give(ctx, t.vc, t.claim(), r)
	}
	if err := engine.AllDone(t.Item().Jobs, recs); err != nil {
		return err
	}
	if err := t.w.free(ctx, t.vc, t.disk.Ref, t.disk.Target, namesKept); err != nil {
		return err
	}
	d, err := t.unfinished(ctx)
	if err != nil {
		return err
	}
	err = t.w.Repo.PutRestored(ctx, format.Restored{
		Run: t.Item().Run, Item: string(t.Item().Key), Point: t.disk.From,
		Source: t.disk.Ref.Source(), Datastore: t.disk.Ref.Datastore(), Disk: t.disk.Ref.ID(), Name: t.disk.Target,
	})
	if ivd.KindOf(err) == ivd.Denied && !leased {
		t.Log().Warn("the repository cannot be written to: it does not say that the restore has ended", "err", err)
		err = nil
	}
	if err != nil {
		return err
	}
	return t.w.rename(ctx, t.vc, d, t.disk.Target)
}

// give gives the disk of a restore that has ended its name, unless it has it, or its
// owner has renamed, relocated or deleted it since.
func (w *Workflow) give(ctx context.Context, v *inventory.VCenter, c claim, r *format.Restored) error {
	d, err := v.Disk(ctx, restored(r))
	if ivd.KindOf(err) == ivd.NotFound {
		return nil
	}
	if err != nil || d.Name != c.name() {
		return err
	}
	if err := w.free(ctx, v, d.Ref, r.Name, namesKept); err != nil {
		return err
	}
	return w.rename(ctx, v, d, r.Name)
}

// rename takes the marks from the disk and gives it its final name, in this order:
// with it the disk is the user's. Where the marks cannot be removed they stay, and do
// no harm: nothing but the working name makes anybody look at them.
func (w *Workflow) rename(ctx context.Context, v *inventory.VCenter, d inventory.Disk, name string) error {
	err := v.Unmark(ctx, d)
	if err != nil && (ctx.Err() != nil || ivd.KindOf(err).Retry()) {
		return err
	}
	if err != nil {
		w.Log.Warn("removing the marks of a restored disk failed: it keeps them", "disk", d.Ref.ID(), "name", name, "err", err)
	}
	return v.Rename(ctx, d.Ref, name)
}

// free refuses a name that another disk of the datastore has, as far as vSphere tells
// their names: it takes a name twice itself. The disk may have got it meanwhile, from
// another coordinator.
func (w *Workflow) free(ctx context.Context, v *inventory.VCenter, ref ivd.DiskRef, name string, age time.Duration) error {
	taken, _, err := w.names.named(ctx, v, ref.Datastore(), name, age)
	if err != nil {
		return err
	}
	for _, d := range taken {
		if d.Ref != ref {
			return &ivd.Error{Kind: ivd.Exists, Err: fmt.Errorf("a disk named %q is on datastore %s already", name, d.DatastoreName), Remedy: "give another --name"}
		}
	}
	return nil
}

var _ engine.Guard = (*Workflow)(nil)
