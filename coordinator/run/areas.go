package run

import (
	"context"

	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/ivd"
)

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
