package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
)

// What vSphere tracks of a disk's changes makes its backup cheaper, and is needed for
// nothing: a disk is backed up without it, and its point says why.

// asks makes a call about tracking, in what is left of the disk's time for all of them.
// Where it fails, why is the reason to go on without what it was to tell. An error: it is
// not tracking that fails; the vCenter does not answer at all, or nobody waits.
func (t *task) asks(ctx context.Context, call trackingCall, what string, capacity int64, ask func(context.Context) error) (why string, _ error) {
	left := t.w.trackingLimit(capacity) - t.disk.Asked
	if left <= 0 {
		return what + ": the calls about changed block tracking have taken too long", nil
	}
	places := placesOf(t.disk, call)
	if until := t.w.hangs.refuse(places, t.w.now()); !until.IsZero() {
		return fmt.Sprintf("%s: such calls have hung for other disks, and are made again at %s", what, until.UTC().Format("15:04 UTC")), nil
	}
	before, begun := t.disk.Asked, time.Now()
	bounded, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	err := ask(bounded)
	t.disk.Asked += time.Since(begun)
	hung := err != nil && (bounded.Err() != nil || errors.Is(err, context.DeadlineExceeded))
	switch {
	case err == nil:
		t.w.hangs.note(places, true, t.w.now())
		return "", nil
	case ctx.Err() != nil:
		return "", err
	case hung || ivd.KindOf(err).Retry() && ivd.KindOf(err) != ivd.Conflict:
		if t.vc.Answers(ctx) != nil {
			t.disk.Asked = before
			return "", err
		}
	}
	t.w.hangs.note(places, !hung, t.w.now())
	if hung {
		err = fmt.Errorf("not answered within %s", time.Since(begun).Round(time.Second))
		if err := t.save(ctx); err != nil { // so that a step that is done again does not wait again
			return "", err
		}
	}
	t.log.Warn("a call about changed block tracking failed: the disk is backed up without its answer", "call", call, "err", err, "remedy", ivd.RemedyOf(err))
	return what + ": " + err.Error(), nil
}

// track turns tracking on where the policy says so and it is off.
func (t *task) track(ctx context.Context, disk inventory.Disk) (err error) {
	t.disk.Untracked = ""
	if t.disk.CBT != cbtEnable || disk.CBT {
		return nil
	}
	t.disk.Untracked, err = t.asks(ctx, turnOn, "changed block tracking cannot be turned on", 0, func(ctx context.Context) error {
		return t.vc.EnableCBT(ctx, t.disk.Ref)
	})
	return err
}

// change is the snapshot's change id, or empty where there is none to be had.
func (t *task) change(ctx context.Context, snap ivd.SnapshotID) (id ivd.ChangeID, err error) {
	if t.disk.CBT == cbtOff {
		return "", nil
	}
	why, err := t.asks(ctx, tellChange, "vSphere does not tell the snapshot's change id", 0, func(ctx context.Context) (err error) {
		id, err = t.vc.ChangeID(ctx, t.disk.Ref, snap)
		return err
	})
	t.disk.Untracked = cmp.Or(t.disk.Untracked, why)
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
