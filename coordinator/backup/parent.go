package backup

import (
	"context"
	"slices"
	"strings"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// parentPoint is a restore point that a backup builds on.
type parentPoint struct {
	format.Point
	sum       ivd.ContentID // of its object
	forgotten bool
}

// builtOn is the parent as jobs have it; none where the disk is cut anew, whose
// parent is one in the chain only.
func (t *task) builtOn(p *parentPoint) *job.Parent {
	if p == nil || p.Geometry.ChunkSize != t.disk.Geometry.ChunkSize {
		return nil
	}
	return &job.Parent{Point: p.ID, SealedAt: t.w.Repo.KnownAt(p.SealedAt, p.Incarnation), Geometry: p.Geometry, Pages: p.Pages}
}

// decide stores, once, how the disk is cut, what it builds on and its point's name.
// A parent that is larger than the disk is none.
func (t *task) decide(ctx context.Context, parent **parentPoint) error {
	if t.decided() {
		return nil
	}
	g, cutAt, err := t.geometry(ctx, *parent)
	if err != nil {
		return err
	}
	if p := *parent; p != nil && p.Geometry.Capacity > g.Capacity {
		*parent = nil // it shrank: this is another disk by now
	}
	t.disk.Geometry, t.disk.CutAt, t.disk.Parent = g, cutAt, ""
	if p := *parent; p != nil {
		t.disk.Parent, t.disk.ParentSum = p.ID, p.sum
	}
	t.disk.Parts = t.parts
	t.disk.Point = ivd.NewPointID(t.w.Repo.Domain(), t.disk.Ref.Source(), t.disk.Ref.ID(), t.g.Run().Created, t.run())
	return t.save(ctx)
}

// decided reports whether what the disk builds on is stored.
func (t *task) decided() bool { return t.disk.Geometry != (ivd.Geometry{}) }

// parent is the point that is stored as the disk's parent, or else the newest that
// can be read and was not given up; nil for a first backup. To build on one that was is as
// safe, since a collection spares what new points take over (COLLECT.md, W3 and W4), and
// is done where all were: one of those is the last good one.
func (t *task) parent(ctx context.Context) (*parentPoint, error) {
	if t.decided() && t.disk.Parent == "" {
		return nil, nil
	}
	points, err := t.w.pointsOf(ctx, t.disk.Ref)
	if err != nil {
		return nil, err
	}
	var last *parentPoint
	for _, info := range points { // the newest first
		if _, partial := info.ID.Partial(); partial {
			t.parts = append(t.parts, info.ID)
		}
		if last != nil && !last.forgotten || t.decided() && info.ID != t.disk.Parent {
			continue
		}
		p, sum, err := t.w.Repo.ReadPoint(ctx, info.ID)
		switch k := ivd.KindOf(err); {
		case err == nil && p.Partial != nil:
			// What of it is done is not told apart from what is not.
		case err == nil:
			found := &parentPoint{Point: p, sum: sum}
			if found.forgotten, err = t.forgotten(ctx, p.ID); err != nil {
				return nil, err
			}
			if last == nil || !found.forgotten {
				last = found
			}
		case k == ivd.NotFound:
			// It is being deleted.
		case k == ivd.Corrupt, k == ivd.Unsupported:
			t.log.Warn("a restore point cannot be built on", "point", info.ID, "err", err)
		default:
			return nil, err
		}
	}
	if last == nil && t.decided() {
		return nil, ivd.Errorf(ivd.Permanent, "the parent %s is gone: back the disk up again", t.disk.Parent)
	}
	return last, nil
}

// forgotten reports whether a point was given up, where that bears on whether it is built
// on: not where it was decided to.
func (t *task) forgotten(ctx context.Context, id ivd.PointID) (bool, error) {
	if t.decided() {
		return false, nil
	}
	return t.w.Repo.IsForgotten(ctx, id)
}

// pointsOf lists the points of a disk of a source, the newest first. Another
// source's disk may have the same id: a storage array copied it.
func (w *Workflow) pointsOf(ctx context.Context, ref ivd.DiskRef) ([]repo.PointInfo, error) {
	var points []repo.PointInfo
	for p, err := range w.Repo.Points(ctx, repo.PointsOf{Source: ref.Source(), Disk: ref.ID()}) {
		if err != nil {
			return nil, err
		}
		points = append(points, p)
	}
	slices.SortFunc(points, func(a, b repo.PointInfo) int { return strings.Compare(string(b.ID), string(a.ID)) })
	return points, nil
}

// geometry is the disk's exact capacity, which vSphere tells in whole MiB only, and
// its chunk size, with the capacity for which that was chosen.
func (t *task) geometry(ctx context.Context, parent *parentPoint) (g ivd.Geometry, cutAt int64, err error) {
	capacity, err := t.capacity(ctx, parent)
	if err != nil {
		return ivd.Geometry{}, 0, err
	}
	g = t.w.Repo.Geometry(capacity)
	if parent == nil {
		return g, capacity, g.Validate()
	}
	if since, _ := t.since(parent); cutsAnew(t.full(), since == "", parent.CutAt, capacity) {
		return g, capacity, g.Validate()
	}
	g.ChunkSize = parent.Geometry.ChunkSize
	return g, parent.CutAt, g.Validate()
}

func (t *task) capacity(ctx context.Context, parent *parentPoint) (int64, error) {
	disk, err := t.vc.Disk(ctx, t.disk.Ref)
	if err != nil {
		return 0, err
	}
	if parent != nil && parent.Geometry.Capacity>>20 == disk.Capacity>>20 {
		return parent.Geometry.Capacity, nil // a disk grows by whole MiB
	}
	opens, err := t.vc.Opens(t.disk.Ref)
	if err != nil {
		return 0, err
	}
	reply, err := t.w.Fleet.Ask(ctx, job.Request{Op: job.Inspect, Run: t.run(), Disk: opens, Snapshot: t.disk.Snapshot, Allows: t.allows(ctx)})
	return reply.Capacity, err
}

// smallDisk is below what a disk was that is large by now, and much better off with
// larger chunks.
const smallDisk = 1 << 40

// cutsAnew reports whether a disk may be cut into other chunks than its parent's:
// only where all of it is read, since nothing is taken over from the parent then.
// It is asked for by full; cutAt is the capacity for which the parent's were chosen.
func cutsAnew(full, readWhole bool, cutAt, capacity int64) bool {
	return full || readWhole && capacity > ivd.LargeDisk && cutAt < smallDisk
}
