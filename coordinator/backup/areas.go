package backup

import (
	"context"
	"strings"

	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/ivd"
)

// areas finds out what to read: what changed since the parent, else what is in use
// by vSphere's account, else whatever VDDK says is allocated.
func (t *task) areas(ctx context.Context, parent *parentPoint) (plan.Mode, []ivd.Extent, string, error) {
	since, note := t.since(parent)
	if len(t.Item().Jobs) > 0 { // decided before a restart; jobs may be under way
		return t.again(ctx, since)
	}
	if since != "" {
		areas, err := t.vc.ChangedAreas(ctx, t.disk.Ref, t.disk.Snapshot, since, t.disk.Geometry.Capacity)
		if err == nil {
			return plan.Changed, areas, note, nil
		}
		if !cannotTell(err) {
			return "", nil, "", err
		}
		note = "vSphere cannot say what changed: " + err.Error()
	}
	if t.disk.ChangeID != "" {
		areas, err := t.vc.ChangedAreas(ctx, t.disk.Ref, t.disk.Snapshot, inventory.InUse, t.disk.Geometry.Capacity)
		if err == nil {
			return plan.InUse, areas, note, nil
		}
		if !cannotTell(err) {
			return "", nil, "", err
		}
	}
	return plan.Allocated, nil, note, nil
}

// again asks again for the areas of a mode that is stored.
func (t *task) again(ctx context.Context, since ivd.ChangeID) (plan.Mode, []ivd.Extent, string, error) {
	switch t.disk.Mode {
	case plan.Allocated:
		return plan.Allocated, nil, t.disk.Note, nil
	case plan.InUse:
		since = inventory.InUse
	}
	areas, err := t.vc.ChangedAreas(ctx, t.disk.Ref, t.disk.Snapshot, since, t.disk.Geometry.Capacity)
	return t.disk.Mode, areas, t.disk.Note, err
}

// since is the change id to compare with, or the reason why there is none.
func (t *task) since(parent *parentPoint) (ivd.ChangeID, string) {
	switch {
	case t.full():
		return "", "a full read was asked for"
	case parent == nil:
		return "", "first backup"
	case t.disk.CBT == cbtOff:
		return "", "the policy does not use changed block tracking"
	case t.vc.Standalone():
		return "", "a host without a vCenter tells no changes"
	case t.disk.ChangeID == "":
		return "", "changed block tracking is off"
	case parent.Tracking.ChangeID == "":
		return "", "it was off at the parent's backup"
	case parent.Tracking.ChangeID.Series() != t.disk.ChangeID.Series():
		return "", "changed block tracking was reset since the parent's backup"
	case !t.disk.ChangeID.After(parent.Tracking.ChangeID):
		return "", "the change id has not grown since the parent's backup: the disk was reverted, or copied with its tracking"
	}
	return parent.Tracking.ChangeID, ""
}

// cannotTell tells an answer that there will be no areas from a failure to ask.
func cannotTell(err error) bool {
	k := ivd.KindOf(err)
	return k == ivd.Unsupported || k == ivd.Conflict
}

// full reports whether a full read was asked for.
func (t *task) full() bool { return t.order().Full }

// order is what the run was asked for; nothing where that cannot be read.
func (t *task) order() (o Order) {
	_ = t.g.Run().Decode(&o)
	return o
}

// noAccess is the note of a disk whose relocation was not disabled: on a standalone host
// there is nothing that could be relocated, and VDDK's call fails.
const noAccess = "no access preparation on a standalone ESXi host"

// standaloneNote adds to a disk's note what is not done on a standalone ESXi host.
func (t *task) standaloneNote(note string) string {
	if !t.vc.Standalone() || strings.HasSuffix(note, noAccess) { // noted before a restart
		return note
	}
	return strings.TrimPrefix(note+"; "+noAccess, "; ")
}
