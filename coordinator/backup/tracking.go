package backup

import (
	"context"
	"strings"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
)

// What vSphere tracks of a disk's changes makes its backup cheaper, and is needed for
// nothing: a disk is backed up without it, and its point says why.

// without is the reason to go on without what a call about tracking was to tell. An error:
// it is not tracking that fails; the vCenter does not answer at all, or nobody waits.
func (t *task) without(ctx context.Context, what string, err error) (why string, _ error) {
	if ctx.Err() != nil {
		return "", err
	}
	if k := ivd.KindOf(err); k.Retry() && k != ivd.Conflict && t.vc.Answers(ctx) != nil {
		return "", err
	}
	t.log.Warn("a call about changed block tracking failed: the disk is backed up without its answer", "err", err, "remedy", ivd.RemedyOf(err))
	return what + ": " + err.Error(), nil
}

// track turns tracking on where the policy says so and it is off.
func (t *task) track(ctx context.Context, disk inventory.Disk) error {
	t.disk.Untracked = ""
	if t.disk.CBT != cbtEnable || disk.CBT {
		return nil
	}
	err := t.vc.EnableCBT(ctx, t.disk.Ref)
	if err != nil {
		t.disk.Untracked, err = t.without(ctx, "changed block tracking cannot be turned on", err)
	}
	return err
}

// change is the snapshot's change id, or empty where there is none to be had.
func (t *task) change(ctx context.Context, snap ivd.SnapshotID) (ivd.ChangeID, error) {
	if t.disk.CBT == cbtOff {
		return "", nil
	}
	id, err := t.vc.ChangeID(ctx, t.disk.Ref, snap)
	if err != nil {
		t.disk.Untracked, err = t.without(ctx, "vSphere does not tell the snapshot's change id", err)
	}
	return id, err
}

// longestReason bounds what a point keeps of a text that vSphere chose.
const longestReason = 500

func clip(reason string) string {
	if len(reason) <= longestReason {
		return reason
	}
	return strings.ToValidUTF8(reason[:longestReason], "") + "…"
}
