package backup

import (
	"context"

	"ivdmover/coordinator/ledger"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// The kinds of obligation of a backup. Of one disk the access is opened first, and
// so ended last: the guide wants EndAccess after the snapshot is deleted.
const (
	accessKind   ledger.Kind = "access"
	snapshotKind ledger.Kind = "snapshot"
)

// access is that of a mover to a disk's VMs, which are not relocated until it ends.
type access struct {
	Disk     job.Disk `json:"disk"`
	Identity string   `json:"identity"`
	// Unprepared: no mover's library can prepare access, so there is none to end.
	Unprepared bool `json:"unprepared,omitempty"`
}

// snapshot is one of a disk, known by its description.
type snapshot struct {
	Disk ivd.DiskRef `json:"disk"`
	Mark string      `json:"mark"`
}

func (w *Workflow) register() {
	w.Ledger.Register(accessKind, ledger.Behaviour{Undo: func(ctx context.Context, o ledger.Obligation) (bool, error) {
		var a access
		if err := o.Decode(&a); err != nil || a.Unprepared {
			return false, err
		}
		if _, err := w.Sources.Of(a.Disk.Ref.Source()); err != nil {
			return false, err
		}
		return true, w.endAccess(ctx, o.Run, a)
	}})
	w.Ledger.Register(snapshotKind, ledger.Behaviour{Looks: true, Undo: func(ctx context.Context, o ledger.Obligation) (bool, error) {
		var s snapshot
		if err := o.Decode(&s); err != nil {
			return false, err
		}
		v, err := w.Sources.Of(s.Disk.Source())
		if err != nil {
			return false, err
		}
		return v.DeleteMarked(ctx, s.Disk, s.Mark)
	}})
}

func (w *Workflow) endAccess(ctx context.Context, run ivd.RunID, a access) error {
	_, err := w.Fleet.Ask(ctx, job.Request{Op: job.EndAccess, Run: run, Disk: a.Disk, Identity: a.Identity})
	if ivd.KindOf(err) == ivd.NotFound {
		return nil
	}
	return err
}
