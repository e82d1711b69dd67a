package run

import (
	"context"
	"errors"
	"time"

	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
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
	if !t.vc.Alone() {
		_, err = t.s.ask(ctx, queue.MoverRequest{Op: queue.PrepareAccess, Run: l.Run, Disk: l.Ref, Identity: l.Identity})
		if err != nil {
			return err
		}
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

// find looks for the disk where it was listed, and elsewhere when it was relocated
// since.
func (t backingUp) find(ctx context.Context) (inventory.Disk, error) {
	disk, err := t.vc.Disk(ctx, t.rec.Ref)
	if ivd.KindOf(err) != ivd.NotFound {
		return disk, err
	}
	disk, err = t.vc.Find(ctx, t.rec.Ref.Disk)
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
		Version: Version, Run: t.rec.Run, Kind: queue.Backup, Ref: t.rec.Ref, Key: t.rec.key(),
		Identity: identity(t.rec.Run, t.rec.Ref.Disk), Opened: time.Now().UTC(),
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
			d.Point = ivd.NewPointID(d.Ref.Disk, t.run.created, d.Run)
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
		d.Parent = &queue.Parent{Point: parent.ID, Committed: parent.committed, Geometry: parent.Geometry, Pages: parent.Pages}
	}
	jobs, err := plan.Backup(t.template(ctx, queue.Backup), d)
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
	points, err := t.s.pointsOf(ctx, t.rec.Ref.Disk)
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
	reply, err := t.s.ask(ctx, queue.MoverRequest{Op: queue.Inspect, Run: t.rec.Run, Disk: t.rec.Ref, Snapshot: t.rec.Snapshot, Allows: t.allows(ctx)})
	if err != nil {
		return ivd.Geometry{}, err
	}
	g := t.s.Repo.Geometry(reply.Capacity)
	if parent != nil {
		g.ChunkSize = parent.Geometry.ChunkSize
	}
	return g, g.Validate()
}

// areas finds out what to read: what changed since the parent, else what is in use
// by vSphere's account, else whatever VDDK says is allocated.
func (t backingUp) areas(ctx context.Context, parent *parentPoint) (plan.Mode, []ivd.Extent, string, error) {
	since, note := t.since(parent)
	if len(t.rec.Jobs) > 0 { // decided before a restart; jobs may be under way
		return t.decided(ctx, since)
	}
	if since != "" {
		areas, err := t.vc.ChangedAreas(ctx, t.rec.Ref, t.rec.Snapshot, since, t.rec.Geometry.Capacity)
		if err == nil {
			return plan.Changed, areas, note, nil
		}
		if !cannotTell(err) {
			return "", nil, "", err
		}
		note = "vSphere cannot say what changed: " + err.Error()
	}
	if t.rec.ChangeID != "" {
		areas, err := t.vc.ChangedAreas(ctx, t.rec.Ref, t.rec.Snapshot, inventory.InUse, t.rec.Geometry.Capacity)
		if err == nil {
			return plan.InUse, areas, note, nil
		}
		if !cannotTell(err) {
			return "", nil, "", err
		}
	}
	return plan.Allocated, nil, note, nil
}

// decided asks again for the areas of a mode that is stored.
func (t backingUp) decided(ctx context.Context, since ivd.ChangeID) (plan.Mode, []ivd.Extent, string, error) {
	switch t.rec.Mode {
	case plan.Allocated:
		return plan.Allocated, nil, t.rec.Note, nil
	case plan.InUse:
		since = inventory.InUse
	}
	areas, err := t.vc.ChangedAreas(ctx, t.rec.Ref, t.rec.Snapshot, since, t.rec.Geometry.Capacity)
	return t.rec.Mode, areas, t.rec.Note, err
}

// since is the change id to compare with, or the reason why there is none.
func (t backingUp) since(parent *parentPoint) (ivd.ChangeID, string) {
	switch {
	case t.run.full:
		return "", "a full read was asked for"
	case parent == nil:
		return "", "first backup"
	case t.rec.CBT == cbtOff:
		return "", "the policy does not use changed block tracking"
	case t.vc.Alone():
		return "", "a host without a vCenter tells no changes"
	case t.rec.ChangeID == "":
		return "", "changed block tracking is off"
	case parent.ChangeID == "":
		return "", "it was off at the parent's backup"
	case parent.ChangeID.Series() != t.rec.ChangeID.Series():
		return "", "changed block tracking was reset since the parent's backup"
	}
	return parent.ChangeID, ""
}

// cannotTell tells an answer that there will be no areas from a failure to ask.
func cannotTell(err error) bool {
	k := ivd.KindOf(err)
	return k == ivd.Unsupported || k == ivd.Conflict
}

// close commits the restore point.
func (t backingUp) close(ctx context.Context) error {
	if t.run.taken { // who drove it before may have come as far
		if done, err := t.committed(ctx); done || err != nil {
			return err
		}
	}
	pages, stats, err := t.collect(ctx)
	if err != nil {
		return err
	}
	p := t.point(pages, stats)
	err = t.s.Repo.Commit(ctx, t.run.lease, p)
	if errors.Is(err, repo.ErrInDoubt) {
		t.run.inDoubt.Store(true)
	}
	switch ivd.KindOf(err) {
	case ivd.Exists: // or is still alive, and has lost the run
		if done, readErr := t.committed(ctx); done || readErr != nil {
			return readErr
		}
	case ivd.Expired:
		return outlived(err)
	}
	if err != nil {
		return err
	}
	return t.save(ctx, func(d *Disk) { d.Stats = stats })
}

// committed tells whether the disk's point is there already, by this run under an
// earlier lease: whoever committed it had all of it, and looked at that lease.
func (t backingUp) committed(ctx context.Context) (bool, error) {
	p, _, err := t.s.Repo.ReadPoint(ctx, t.rec.Point)
	if ivd.KindOf(err) == ivd.NotFound {
		return false, nil
	}
	if err != nil || p.Run != t.rec.Run || p.Snapshot != t.rec.Snapshot {
		return false, err
	}
	t.log.Info("the restore point was committed before the run was taken up", "point", p.ID)
	s := p.Stats
	return true, t.save(ctx, func(d *Disk) {
		d.Stats = queue.Stats{
			DiskBytes: s.DiskBytes, ReadBytes: s.ReadBytes, ZeroBytes: s.ZeroBytes, DedupBytes: s.DedupBytes,
			NewBytes: s.NewBytes, CompressedBytes: s.CompressedBytes, StoredBytes: s.StoredBytes, Packs: s.Packs,
		}
	})
}

// lasts refuses what the run's lease ends too soon for: its movers do so as well.
func (a *active) lasts(now time.Time) error {
	if now.Before(a.lease.Deadline.Add(-repo.Margin)) {
		return nil
	}
	return outlived(ivd.Errorf(ivd.Expired, "lease %s ends at %s", a.lease.ID, a.lease.Deadline.Format(time.RFC3339)))
}

func outlived(err error) error {
	return &ivd.Error{Kind: ivd.Permanent, Op: "the run has outlived its lease", Err: err, Remedy: "back fewer disks up in one run, or add movers"}
}

// point is the restore point that the disk's run has made.
func (t backingUp) point(pages []ivd.PageRef, st queue.Stats) format.Point {
	return format.Point{
		ID: t.rec.Point, Repository: t.s.Repo.ID(),
		Disk: t.rec.Ref, Name: t.rec.Name, DatastoreName: t.rec.Datastore, Geometry: t.rec.Geometry,
		Run: t.rec.Run, Lease: t.run.lease.ID, LeaseDeadline: t.run.lease.Deadline, Time: t.run.created,
		Parent: t.rec.Parent, Snapshot: t.rec.Snapshot, ChangeID: t.rec.ChangeID, CBT: t.rec.CBT,
		Mode: string(t.rec.Mode), Pages: pages, Metadata: t.rec.Metadata,
		Stats: format.Stats{
			DiskBytes: st.DiskBytes, ReadBytes: st.ReadBytes, ZeroBytes: st.ZeroBytes, DedupBytes: st.DedupBytes,
			NewBytes: st.NewBytes, CompressedBytes: st.CompressedBytes, StoredBytes: st.StoredBytes, Packs: st.Packs,
		},
	}
}

// collect gathers the pages that the jobs have made. What was sealed under an older
// lease is relied on only after the lists that stand now were asked (COLLECT W7).
func (t backingUp) collect(ctx context.Context) ([]ivd.PageRef, queue.Stats, error) {
	recs, stats, err := t.records(ctx)
	if err != nil {
		return nil, stats, err
	}
	var pages []ivd.PageRef
	for _, rec := range recs {
		if rec.State != queue.JobDone {
			return nil, stats, ivd.Errorf(ivd.Permanent, "job %s of disk %s is %s at the commit", rec.ID, t.rec.Ref.Disk, rec.State)
		}
		if rec.Lease != t.run.lease.ID {
			if err := t.run.recheck(ctx, rec, t.rec.Geometry); err != nil {
				return nil, stats, err
			}
		}
		pages = append(pages, rec.Pages...)
	}
	return pages, stats, nil
}
