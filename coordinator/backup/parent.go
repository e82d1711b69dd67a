package backup

import (
	"context"
	"slices"
	"strings"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// parentPoint is a restore point that a backup builds on.
type parentPoint struct {
	format.Point
	committed time.Time
}

// of is the parent as jobs have it.
func (p *parentPoint) of() *job.Parent {
	if p == nil {
		return nil
	}
	return &job.Parent{Point: p.ID, Committed: p.committed, Geometry: p.Geometry, Pages: p.Pages}
}

// decide stores, once, how the disk is cut, what it builds on and its point's name.
// A parent that is larger than the disk is none.
func (t *task) decide(ctx context.Context, parent **parentPoint) error {
	if t.decided() {
		return nil
	}
	g, err := t.geometry(ctx, *parent)
	if err != nil {
		return err
	}
	if p := *parent; p != nil && p.Geometry.Capacity > g.Capacity {
		*parent = nil // it shrank: this is another disk by now
	}
	t.disk.Geometry, t.disk.Parent = g, ""
	if *parent != nil {
		t.disk.Parent = (*parent).ID
	}
	t.disk.Point = ivd.NewPointID(t.disk.Ref.ID(), t.g.Run().Created, t.run())
	return t.save(ctx)
}

// decided reports whether what the disk builds on is stored.
func (t *task) decided() bool { return t.disk.Geometry != (ivd.Geometry{}) }

// parent is the point that is stored as the disk's parent, or else the newest that
// can be read; nil for a first backup.
func (t *task) parent(ctx context.Context) (*parentPoint, error) {
	if t.decided() && t.disk.Parent == "" {
		return nil, nil
	}
	points, err := t.w.pointsOf(ctx, t.disk.Ref.ID())
	if err != nil {
		return nil, err
	}
	for _, info := range points { // the newest first
		if t.decided() && info.ID != t.disk.Parent {
			continue
		}
		p, read, err := t.w.Repo.ReadPoint(ctx, info.ID)
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
	if t.decided() {
		return nil, ivd.Errorf(ivd.Permanent, "the parent %s is gone: back the disk up again", t.disk.Parent)
	}
	return nil, nil
}

// pointsOf lists a disk's points, the newest first.
func (w *Workflow) pointsOf(ctx context.Context, disk ivd.DiskID) ([]repo.PointInfo, error) {
	var points []repo.PointInfo
	for p, err := range w.Repo.Points(ctx, disk) {
		if err != nil {
			return nil, err
		}
		points = append(points, p)
	}
	slices.SortFunc(points, func(a, b repo.PointInfo) int { return strings.Compare(string(b.ID), string(a.ID)) })
	return points, nil
}

// geometry is the disk's exact capacity, which vSphere tells in whole MiB only, and
// the chunk size: a child keeps its parent's.
func (t *task) geometry(ctx context.Context, parent *parentPoint) (ivd.Geometry, error) {
	disk, err := t.vc.Disk(ctx, t.disk.Ref)
	if err != nil {
		return ivd.Geometry{}, err
	}
	if parent != nil && parent.Geometry.Capacity>>20 == disk.Capacity>>20 {
		return parent.Geometry, nil // a disk grows by whole MiB
	}
	reply, err := t.w.Fleet.Ask(ctx, job.Request{Op: job.Inspect, Run: t.run(), Disk: t.disk.Ref, Snapshot: t.disk.Snapshot, Allows: t.allows(ctx)})
	if err != nil {
		return ivd.Geometry{}, err
	}
	g := t.w.Repo.Geometry(reply.Capacity)
	if parent != nil {
		g.ChunkSize = parent.Geometry.ChunkSize
	}
	return g, g.Validate()
}
