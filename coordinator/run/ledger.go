package run

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

// Ledger is what must be undone for a disk. It is stored before anything is asked
// of vSphere, and removed when all of it is undone: by the disk's own run, or,
// when that is over, by whichever coordinator looks next.
type Ledger struct {
	Version  int           `json:"version"`
	Run      ivd.RunID     `json:"run"`
	Kind     queue.JobKind `json:"kind"`
	Ref      ivd.DiskRef   `json:"ref"`                // of a backup: the disk. Of a restore: where the new disk is made
	Key      ivd.DiskID    `json:"key"`                // the disk's name within the run
	Identity string        `json:"identity,omitempty"` // of prepare and end; at most 50 characters
	Working  string        `json:"working,omitempty"`  // the new disk's name until the restore is done
	Opened   time.Time     `json:"opened"`
}

// Mark is the description of a run's snapshots; by it they are ours.
func Mark(id ivd.RunID) string { return markPrefix + string(id) }

const markPrefix = "ivdmover run "

// Ours tells whether a snapshot with this description was made by ivdmover.
func Ours(description string) bool { return strings.HasPrefix(description, markPrefix) }

func identity(id ivd.RunID, disk ivd.DiskID) string {
	return fmt.Sprintf("ivdmover-%s-%.8s", id, disk)
}

func (s *Service) getLedger(ctx context.Context, id ivd.RunID, disk ivd.DiskID) (Ledger, error) {
	l, _, err := queue.Get[Ledger](ctx, s.Queue.State(), ledgerKey(id, disk))
	return l, err
}

// open stores a ledger entry. One that was there already is ours, of before a
// restart: what it names may have been done.
func (s *Service) open(ctx context.Context, l Ledger) (before bool, err error) {
	_, err = s.Queue.State().Create(ctx, ledgerKey(l.Run, l.Key), l)
	if ivd.KindOf(err) == ivd.Exists {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("store the ledger entry of disk %s: %w", l.Key, err)
	}
	return false, nil
}

// settleLedger undoes what ended runs have left to do.
func (s *Service) settleLedger(ctx context.Context) error {
	keys, err := s.Queue.State().Keys(ctx, "ledger.")
	if err != nil {
		return fmt.Errorf("list the ledger: %w", err)
	}
	var errs []error
	for _, k := range keys {
		l, _, err := queue.Get[Ledger](ctx, s.Queue.State(), k)
		if ivd.KindOf(err) == ivd.NotFound {
			continue
		}
		if err == nil {
			err = s.settleEntry(ctx, l)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", k, err))
		}
	}
	return errors.Join(errs...)
}

// settleEntry undoes one entry, unless its disk's driver will.
func (s *Service) settleEntry(ctx context.Context, l Ledger) error {
	r, _, err := s.getRun(ctx, l.Run)
	if err != nil && ivd.KindOf(err) != ivd.NotFound {
		return err
	}
	if err == nil && !r.State.Ended() {
		return nil
	}
	return s.undo(ctx, l)
}

// undo does all that a ledger entry names and removes it. Each part is safe to
// repeat, and what is gone already counts as done.
func (s *Service) undo(ctx context.Context, l Ledger) error {
	v, err := s.vcenter(l.Ref.VCenter)
	if err != nil {
		return err
	}
	if l.Kind == queue.Restore {
		err = deleteWorking(ctx, v, l)
	} else {
		err = deleteSnapshots(ctx, v, l)
		if err == nil {
			err = s.endAccess(ctx, l)
		}
	}
	if err != nil {
		return err
	}
	if err := s.Queue.State().Delete(ctx, ledgerKey(l.Run, l.Key)); err != nil {
		return fmt.Errorf("remove the ledger entry of disk %s: %w", l.Key, err)
	}
	return nil
}

// deleteSnapshots deletes the snapshots that the run made of the disk, known or
// not: one whose creation was still under way when the coordinator died carries
// the run's mark too.
func deleteSnapshots(ctx context.Context, v *inventory.VCenter, l Ledger) error {
	snaps, err := v.Snapshots(ctx, l.Ref)
	if ivd.KindOf(err) == ivd.NotFound {
		return nil // the disk is gone, and its snapshots with it
	}
	if err != nil {
		return err
	}
	for _, s := range snaps {
		if s.Description != Mark(l.Run) {
			continue
		}
		if err := v.DeleteSnapshot(ctx, l.Ref, s.ID); err != nil {
			return err
		}
	}
	return nil
}

// endAccess follows every prepare, whatever that had answered.
func (s *Service) endAccess(ctx context.Context, l Ledger) error {
	_, err := s.ask(ctx, queue.MoverRequest{Op: queue.EndAccess, Run: l.Run, Disk: l.Ref, Identity: l.Identity})
	if ivd.KindOf(err) == ivd.NotFound {
		return nil
	}
	return err
}

// deleteWorking deletes what a restore has made and not given its name: the disk of
// one that did not come to its end, or a second one, whose creation was still under
// way when the coordinator died.
func deleteWorking(ctx context.Context, v *inventory.VCenter, l Ledger) error {
	for {
		d, err := findByName(ctx, v, l.Ref.Datastore, l.Working)
		if err != nil || d == nil {
			return err
		}
		if err := v.DeleteDisk(ctx, d.Ref); err != nil {
			return err
		}
	}
}

// findByName is the disk of that name on a datastore, or nil.
func findByName(ctx context.Context, v *inventory.VCenter, ds ivd.DatastoreID, name string) (*inventory.Disk, error) {
	for d, err := range v.DisksOn(ctx, ds) {
		if err != nil {
			return nil, err
		}
		if d.Name == name {
			return &d, nil
		}
	}
	return nil, nil
}
