package backup

import (
	"context"
	"fmt"
	"time"

	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/ledger"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// What a policy says of changed block tracking, beside "use".
const (
	cbtOff    = "off"
	cbtEnable = "enable"
)

// identity is that of a disk's PrepareForAccess and EndAccess: at most 50
// characters.
func identity(id ivd.RunID, disk ivd.DiskID) string {
	return fmt.Sprintf("ivdmover-%s-%.8s", id, disk)
}

// access opens the obligation to end access, turns tracking on where the policy
// says so, and has a mover prepare the VMs that the disk is attached to.
func (t *task) access(ctx context.Context) error {
	disk, err := t.find(ctx)
	if err != nil || t.vc.Standalone() {
		return err
	}
	a := access{Identity: identity(t.run(), t.disk.Ref.ID())}
	if a.Disk, err = t.vc.Opens(t.disk.Ref); err != nil {
		return err
	}
	e, err := t.w.Ledger.Open(ctx, t.obligation(accessKind), a)
	if err == nil && e.Before {
		err = e.Answered(ctx, a) // that no mover could prepare it is said anew
	}
	if err != nil {
		return err
	}
	if err := t.track(ctx, disk); err != nil {
		return err
	}
	_, err = t.w.Fleet.Ask(ctx, job.Request{Op: job.PrepareAccess, Run: t.run(), Disk: a.Disk, Identity: a.Identity})
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case ivd.KindOf(err) == ivd.Unsupported:
		return t.unprepared(ctx, e, a, err)
	}
	// What was done before it failed at one of the VMs is undone at once: the next
	// try may be minutes away, and until then they may be relocated.
	if endErr := t.w.endAccess(ctx, t.run(), a); endErr != nil {
		t.log.Warn("ending access that could not be prepared failed; it is tried again when the disk ends", "err", endErr)
	}
	return err
}

// unprepared goes on without: a relocation meanwhile fails the disk's attempt, and the
// next one finds the disk where it is then.
func (t *task) unprepared(ctx context.Context, e *ledger.Entry, a access, why error) error {
	if err := t.w.endAccess(ctx, t.run(), a); err != nil && ivd.KindOf(err) != ivd.Unsupported {
		return err
	}
	t.log.Warn("access could not be prepared, and the backup goes on without: VMs with this disk may be relocated meanwhile", "why", why)
	a.Unprepared = true
	return e.Answered(ctx, a)
}

// snap takes the snapshot, or finds the one that was taken before a restart.
func (t *task) snap(ctx context.Context) error {
	o := t.obligation(snapshotKind)
	o.Asked = true
	e, err := t.w.Ledger.Open(ctx, o, snapshot{Disk: t.disk.Ref, Mark: Mark(t.w.Repo, t.run())})
	if err != nil {
		return err
	}
	snap, known, err := t.snapshot(ctx)
	if known {
		if e := e.Answered(ctx, nil); e != nil && err == nil {
			err = e
		}
	}
	if err != nil {
		return err
	}
	change, err := t.change(ctx, snap)
	if err != nil {
		return err
	}
	facts, err := t.observe(ctx, snap, change)
	if err != nil {
		return err
	}
	t.disk.Snapshot, t.disk.ChangeID, t.disk.Facts = snap, change, &facts
	return t.save(ctx)
}

func (t *task) obligation(k ledger.Kind) ledger.Obligation {
	return ledger.Obligation{Run: t.run(), Item: string(t.Item().Key), Kind: k}
}

// find looks for the disk where it was listed, and elsewhere when it was relocated
// since.
func (t *task) find(ctx context.Context) (inventory.Disk, error) {
	disk, err := t.vc.Disk(ctx, t.disk.Ref)
	if ivd.KindOf(err) != ivd.NotFound {
		return disk, err
	}
	disk, err = t.vc.Find(ctx, t.disk.Ref.ID())
	if err != nil {
		return disk, err
	}
	t.disk.Ref, t.disk.Datastore = disk.Ref, disk.DatastoreName
	return disk, t.save(ctx)
}

// snapshot is the run's snapshot of the disk: one that was made before a restart,
// or a new one. Known: none appears any more that was asked for.
func (t *task) snapshot(ctx context.Context) (id ivd.SnapshotID, known bool, err error) {
	snaps, err := t.vc.Snapshots(ctx, t.disk.Ref)
	if err != nil {
		return "", false, err
	}
	mark := Mark(t.w.Repo, t.run())
	for _, s := range snaps {
		if s.Description == mark {
			t.age(s.Created)
			return s.ID, true, nil
		}
	}
	if err := t.makeWay(ctx, snaps); err != nil {
		return "", false, err
	}
	t.disk.SnappedAt = time.Time{}
	asked := time.Now()
	id, err = t.vc.CreateSnapshot(ctx, t.disk.Ref, mark)
	if err == nil {
		t.age(asked)
	}
	return id, !inventory.Unanswered(err), err
}
