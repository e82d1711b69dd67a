package run

import (
	"context"
	"time"

	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// What a policy says of changed block tracking, beside "use".
const (
	cbtOff    = "off"
	cbtEnable = "enable"
)

// backingUp is what is a backup's own in a disk's course.
type backingUp struct{ *task }

// prepare opens the ledger, has a mover prepare the disk's VMs, and takes the
// snapshot with its change id.
func (t backingUp) prepare(ctx context.Context) error {
	if err := t.run.lasts(t.s.Repo.Now()); err != nil {
		return err
	}
	disk, err := t.find(ctx)
	if err != nil {
		return err
	}
	l := t.ledger()
	if _, err := t.s.open(ctx, l); err != nil {
		return err
	}
	if t.rec.CBT == cbtEnable && !disk.CBT && !t.vc.Alone() {
		if err := t.track(ctx); err != nil {
			return err
		}
	}
	if err := t.access(ctx, l); err != nil {
		return err
	}
	snap, err := t.snapshot(ctx)
	if err != nil {
		return err
	}
	change, err := t.changeID(ctx, snap)
	if err != nil {
		return err
	}
	return t.save(ctx, func(d *Disk) { d.Snapshot, d.ChangeID = snap, change })
}

// access has a mover prepare the VMs that the disk is attached to. What was done
// before it failed at one of them is undone at once: the next try may be minutes
// away, and until then they may be relocated.
func (t backingUp) access(ctx context.Context, l Ledger) error {
	if t.vc.Alone() {
		return nil
	}
	_, err := t.s.ask(ctx, job.Request{Op: job.PrepareAccess, Run: l.Run, Disk: l.Ref, Identity: l.Identity})
	if err == nil || ctx.Err() != nil {
		return err
	}
	if endErr := t.s.endAccess(ctx, l); endErr != nil {
		t.log.Warn("end access that could not be prepared; it is tried again when the disk ends", "err", endErr)
	}
	return err
}

// find looks for the disk where it was listed, and elsewhere when it was relocated
// since.
func (t backingUp) find(ctx context.Context) (inventory.Disk, error) {
	disk, err := t.vc.Disk(ctx, t.rec.Ref)
	if ivd.KindOf(err) != ivd.NotFound {
		return disk, err
	}
	disk, err = t.vc.Find(ctx, t.rec.Ref.ID())
	if err != nil {
		return disk, err
	}
	return disk, t.save(ctx, func(d *Disk) { d.Ref, d.Datastore = disk.Ref, disk.DatastoreName })
}

// track turns change tracking on. A disk for which that is refused is backed up
// all the same.
func (t backingUp) track(ctx context.Context) error {
	err := t.vc.EnableCBT(ctx, t.rec.Ref)
	if err == nil || ctx.Err() != nil || ivd.KindOf(err).Retry() {
		return err
	}
	t.log.Warn("changed block tracking cannot be turned on: all that is allocated is read each time", "err", err)
	return nil
}

func (t backingUp) ledger() Ledger {
	return Ledger{
		Version: Version, Run: t.rec.Run, Kind: job.Backup, Ref: t.rec.Ref, Key: t.rec.Key(),
		Identity: identity(t.rec.Run, t.rec.Ref.ID()), Opened: time.Now().UTC(),
	}
}

// snapshot is the run's snapshot of the disk: one that was made before a restart,
// or a new one.
func (t backingUp) snapshot(ctx context.Context) (ivd.SnapshotID, error) {
	snaps, err := t.vc.Snapshots(ctx, t.rec.Ref)
	if err != nil {
		return "", err
	}
	for _, s := range snaps {
		if s.Description == Mark(t.rec.Run) {
			t.asked = false
			return s.ID, nil
		}
	}
	t.asked = true
	id, err := t.vc.CreateSnapshot(ctx, t.rec.Ref, Mark(t.rec.Run))
	t.asked = unanswered(err)
	return id, err
}

// unanswered tells whether what vSphere was asked to make may still appear.
func unanswered(err error) bool {
	switch ivd.KindOf(err) {
	case ivd.Transient, ivd.Cancelled:
		return true
	case ivd.Unknown:
		return err != nil
	}
	return false
}

// changeID is the snapshot's, or empty where the disk is not tracked.
func (t backingUp) changeID(ctx context.Context, snap ivd.SnapshotID) (ivd.ChangeID, error) {
	if t.rec.CBT == cbtOff {
		return "", nil
	}
	id, err := t.vc.ChangeID(ctx, t.rec.Ref, snap)
	if ivd.KindOf(err) == ivd.Unsupported {
		return "", nil
	}
	return id, err
}

// plan decides once, and stores, what the backup builds on and how it finds out
// what to read; then it makes the jobs.
func (t backingUp) plan(ctx context.Context) error {
	parent, err := t.parent(ctx)
	if err != nil {
		return err
	}
	if t.rec.Geometry == (ivd.Geometry{}) {
		g, err := t.geometry(ctx, parent)
		if err != nil {
			return err
		}
		if parent != nil && parent.Geometry.Capacity > g.Capacity {
			parent = nil // it shrank: this is another disk by now
		}
		if err := t.save(ctx, func(d *Disk) {
			d.Geometry, d.Parent = g, pointOf(parent)
			d.Point = ivd.NewPointID(d.Ref.ID(), t.run.created, d.Run)
		}); err != nil {
			return err
		}
	}
	mode, areas, note, err := t.areas(ctx, parent)
	if err != nil {
		return err
	}
	if err := t.save(ctx, func(d *Disk) { d.Mode, d.Note = mode, t.aloneNote(note) }); err != nil {
		return err
	}
	d := plan.Disk{Geometry: t.rec.Geometry, Snapshot: t.rec.Snapshot, Mode: mode, Areas: areas}
	if parent != nil {
		d.Parent = &job.Parent{Point: parent.ID, Committed: parent.committed, Geometry: parent.Geometry, Pages: parent.Pages}
	}
	jobs, err := plan.Backup(t.template(ctx, job.Backup), d)
	if err != nil {
		return err
	}
	return t.setJobs(ctx, jobs)
}

// parentPoint is a restore point that a backup builds on.
type parentPoint struct {
	format.Point
	committed time.Time
}

func pointOf(p *parentPoint) ivd.PointID {
	if p == nil {
		return ""
	}
	return p.ID
}

// parent is the point that is stored as the disk's parent, or else the newest that
// can be read; nil for a first backup.
func (t backingUp) parent(ctx context.Context) (*parentPoint, error) {
	decided := t.rec.Geometry != (ivd.Geometry{})
	if decided && t.rec.Parent == "" {
		return nil, nil
	}
	points, err := t.s.pointsOf(ctx, t.rec.Ref.ID())
	if err != nil {
		return nil, err
	}
	for _, info := range points { // the newest first
		if decided && info.ID != t.rec.Parent {
			continue
		}
		p, read, err := t.s.Repo.ReadPoint(ctx, info.ID)
		switch k := ivd.KindOf(err); {
		case err == nil:
			return &parentPoint{p, read.Committed}, nil
		case k == ivd.Expired, k == ivd.NotFound:
			// It came after its lease's end and is void, or is being deleted.
		case k == ivd.Corrupt, k == ivd.Unsupported:
			t.log.Warn("a restore point cannot be built on", "point", info.ID, "err", err)
		default:
			return nil, err
		}
	}
	if decided {
		return nil, ivd.Errorf(ivd.Permanent, "the parent %s is gone: back the disk up again", t.rec.Parent)
	}
	return nil, nil
}

// geometry is the disk's exact capacity, which vSphere tells in whole MiB only, and
// the chunk size: a child keeps its parent's.
func (t backingUp) geometry(ctx context.Context, parent *parentPoint) (ivd.Geometry, error) {
	disk, err := t.vc.Disk(ctx, t.rec.Ref)
	if err != nil {
		return ivd.Geometry{}, err
	}
	if parent != nil && parent.Geometry.Capacity>>20 == disk.Capacity>>20 {
		return parent.Geometry, nil // a disk grows by whole MiB
	}
	reply, err := t.s.ask(ctx, job.Request{Op: job.Inspect, Run: t.rec.Run, Disk: t.rec.Ref, Snapshot: t.rec.Snapshot, Allows: t.allows(ctx)})
	if err != nil {
		return ivd.Geometry{}, err
	}
	g := t.s.Repo.Geometry(reply.Capacity)
	if parent != nil {
		g.ChunkSize = parent.Geometry.ChunkSize
	}
	return g, g.Validate()
}
