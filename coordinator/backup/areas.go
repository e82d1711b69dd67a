package backup

import (
	"cmp"
	"context"
	"strings"

	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// areas finds out what to read: what changed since the parent, else what is in use
// by vSphere's account, else whatever VDDK says is allocated. Whatever vSphere answers,
// or does not, no more is read than is allocated, and the note says why.
func (t *task) areas(ctx context.Context, parent *parentPoint) (plan.Mode, []ivd.Extent, string, error) {
	since, note := t.since(parent)
	if len(t.Item().Jobs) > 0 { // decided before a restart; jobs may be under way
		return t.again(ctx, since)
	}
	mode, areas, why, err := t.choose(ctx, since)
	if err != nil {
		return "", nil, "", err
	}
	note = both(note, clip(why))
	if mode == plan.Allocated {
		return mode, nil, note, nil
	}
	// The jobs are made of it again after a restart, when vSphere may answer otherwise.
	return mode, areas, note, t.Keep(ctx, plan.EncodeAreas(areas))
}

// many is the part of a disk from which on what changed is held against what is in use:
// some storage calls all of a disk changed whatever was written.
const many = 8

// choose asks vSphere, and says why not more comes of it.
func (t *task) choose(ctx context.Context, since ivd.ChangeID) (mode plan.Mode, areas []ivd.Extent, why string, err error) {
	if t.disk.ChangeID == "" {
		return plan.Allocated, nil, t.disk.Untracked, nil
	}
	var changed, used answer
	if since != "" {
		if changed, err = t.ask(ctx, "what changed", since); err != nil {
			return "", nil, "", err
		}
		if changed.known() && changed.bytes <= t.disk.Geometry.Capacity/many {
			return plan.Changed, changed.areas, "", nil
		}
	}
	if !changed.sick {
		if used, err = t.ask(ctx, "what is in use", inventory.InUse); err != nil {
			return "", nil, "", err
		}
	}
	mode, areas, why = weigh(changed, used, t.disk.Geometry.Capacity)
	return mode, areas, why, nil
}

// weigh picks the answer by which the least is read of a disk.
func weigh(changed, used answer, whole int64) (mode plan.Mode, areas []ivd.Extent, why string) {
	switch {
	case changed.known() && changed.bytes < whole && !(used.known() && used.bytes > 0 && used.bytes < changed.bytes):
		return plan.Changed, changed.areas, ""
	case used.known() && used.bytes > 0 && used.bytes < whole:
		if changed.known() {
			changed.why = "vSphere calls more of the disk changed than is in use"
		}
		return plan.InUse, used.areas, changed.why
	case changed.known():
		why = "vSphere calls all of the disk changed"
	case used.known() && used.bytes == 0:
		why = both(changed.why, "vSphere says that nothing is in use")
	case used.known():
		why = both(changed.why, "vSphere calls all of the disk in use")
	default:
		why = cmp.Or(changed.why, used.why)
	}
	return plan.Allocated, nil, why
}

// both joins two reasons, of which one may be in the other, or empty.
func both(a, b string) string {
	switch {
	case strings.Contains(a, b):
		return a
	case a == "":
		return b
	}
	return a + "; " + b
}

// answer is what vSphere says to a question for areas.
type answer struct {
	areas []ivd.Extent
	bytes int64  // that are read of them
	why   string // there is none
	sick  bool   // and for a reason that another question would have too
}

func (a answer) known() bool { return a.areas != nil }

// ask asks for areas. An error: it is not tracking that fails.
func (t *task) ask(ctx context.Context, what string, since ivd.ChangeID) (a answer, err error) {
	var areas []ivd.Extent
	kind := ivd.Unknown // where it is not asked, or not answered
	a.why, err = t.asks(ctx, tellAreas, "vSphere cannot say "+what, t.disk.Geometry.Capacity, func(ctx context.Context) (err error) {
		areas, err = t.vc.ChangedAreas(ctx, t.disk.Ref, t.disk.Snapshot, since, t.disk.Geometry.Capacity)
		kind = ivd.KindOf(err)
		return err
	})
	if err != nil || a.why != "" {
		a.sick = kind != ivd.Unsupported && kind != ivd.Conflict
		return a, err
	}
	a.areas, a.bytes = plan.Cover(t.disk.Geometry, areas)
	if a.areas == nil {
		a.areas = []ivd.Extent{}
	}
	return a, nil
}

// again is what was planned before. Where it was not kept, the question that is stored is
// asked again.
func (t *task) again(ctx context.Context, since ivd.ChangeID) (plan.Mode, []ivd.Extent, string, error) {
	if t.disk.Mode == plan.Allocated {
		return plan.Allocated, nil, t.disk.Note, nil
	}
	text, err := t.Kept(ctx)
	if err != nil && ivd.KindOf(err) != ivd.NotFound {
		return "", nil, "", err
	}
	if text != nil {
		areas, err := plan.DecodeAreas(text)
		return t.disk.Mode, areas, t.disk.Note, err
	}
	if t.disk.Mode == plan.InUse {
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
		return "", cmp.Or(clip(t.disk.Untracked), "changed block tracking is off")
	case parent.Tracking.ChangeID == "" && parent.Tracking.CBT == format.CBTOn:
		return "", "the parent has no change id"
	case parent.Tracking.ChangeID == "":
		return "", "it was off at the parent's backup"
	case parent.Tracking.ChangeID.Series() != t.disk.ChangeID.Series():
		return "", "changed block tracking was reset since the parent's backup"
	case !t.disk.ChangeID.After(parent.Tracking.ChangeID):
		return "", "the change id has not grown since the parent's backup: the disk was reverted, or copied with its tracking"
	}
	return parent.Tracking.ChangeID, ""
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
	if !t.vc.Standalone() {
		return note
	}
	return both(note, noAccess) // which may be noted since before a restart
}
