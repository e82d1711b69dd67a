package run

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

// Ledger is what must be undone for a disk. It is stored before anything is asked
// of vSphere, and removed when all of it is undone: by the disk's own run, or,
// when that is over, by whichever coordinator looks next.
type Ledger struct {
	Version  int         `json:"version"`
	Run      ivd.RunID   `json:"run"`
	Kind     job.Kind    `json:"kind"`
	Ref      ivd.DiskRef `json:"ref"`                // of a backup: the disk. Of a restore: where the new disk is made
	Key      ivd.DiskID  `json:"key"`                // the disk's name within the run
	Identity string      `json:"identity,omitempty"` // of prepare and end; at most 50 characters
	Working  string      `json:"working,omitempty"`  // the new disk's name until the restore is done
	Opened   time.Time   `json:"opened"`
	// Examiner is whose examination it is, and of whom the snapshot is: nothing else
	// is to be undone then, and Run is its name. Kind is empty.
	Examiner *Examiner      `json:"examiner,omitempty"`
	Snapshot ivd.SnapshotID `json:"snapshot,omitempty"` // of an examination, once vSphere has named it
	// Until: everything was undone once, and what vSphere was asked to make and never
	// answered for may still appear, until then.
	Until time.Time `json:"until,omitzero"`
}

// lateTask is how long a task of vSphere may still be under way that was begun, and
// whose answer nobody waits for any more.
const lateTask = 20 * time.Minute

// Mark is the description of a run's snapshots; by it they are ours.
func Mark(id ivd.RunID) string { return markPrefix + string(id) }

const (
	markPrefix        = "ivdmover run "
	examinationPrefix = "ivdmover " + examination
)

// mark is the description of the entry's snapshots.
func (l Ledger) mark() string {
	if l.Examiner != nil {
		return "ivdmover " + string(l.Run)
	}
	return Mark(l.Run)
}

// Ours tells whether a snapshot with this description was made by ivdmover.
func Ours(description string) bool {
	return strings.HasPrefix(description, markPrefix) || strings.HasPrefix(description, examinationPrefix)
}

func identity(id ivd.RunID, disk ivd.DiskID) string {
	return fmt.Sprintf("ivdmover-%s-%.8s", id, disk)
}

func (s *Service) getLedger(ctx context.Context, id ivd.RunID, disk ivd.DiskID) (Ledger, uint64, error) {
	return queue.Get[Ledger](ctx, s.Queue.State(), ledgerKey(id, disk))
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

// undo does all that a ledger entry names and removes it. Each part is safe to
// repeat, and what is gone already counts as done. Where vSphere was asked to make
// something and has not answered, the entry stays for a while, and is looked at
// again.
func (s *Service) undo(ctx context.Context, l Ledger, rev uint64, asked bool) error {
	v, err := s.vcenter(l.Ref.Source())
	if err != nil {
		return err
	}
	if l.Kind == job.Restore {
		err = deleteWorking(ctx, v, l)
	} else {
		err = s.undoBackup(ctx, v, l)
	}
	if err != nil {
		return err
	}
	switch {
	case l.Until.IsZero() && asked:
		l.Until = s.now().Add(lateTask).UTC()
		_, err = s.Queue.State().Update(ctx, ledgerKey(l.Run, l.Key), l, rev)
	case s.now().After(l.Until):
		err = s.Queue.State().Delete(ctx, ledgerKey(l.Run, l.Key))
	}
	if err != nil {
		return fmt.Errorf("close the ledger entry of disk %s: %w", l.Key, err)
	}
	return nil
}

// undoBackup deletes the snapshots of a backup or an examination, and ends access, which follows every prepare,
// whatever that had answered. When that was done once it is done again only for a
// snapshot that came late.
func (s *Service) undoBackup(ctx context.Context, v *inventory.VCenter, l Ledger) error {
	found, err := deleteSnapshots(ctx, v, l)
	if err != nil || !found && !l.Until.IsZero() {
		return err
	}
	if v.Alone() || l.Examiner != nil { // nothing was prepared
		return nil
	}
	return s.endAccess(ctx, l)
}

// deleteSnapshots deletes the snapshots that the entry's run made of the disk, known or
// not: one whose creation was still under way when the coordinator died carries
// the run's mark too.
func deleteSnapshots(ctx context.Context, v *inventory.VCenter, l Ledger) (found bool, err error) {
	ref := l.Ref
	snaps, err := v.Snapshots(ctx, ref)
	if ivd.KindOf(err) == ivd.NotFound { // it was relocated, or it is gone and its snapshots with it
		var disk inventory.Disk
		if disk, err = v.Find(ctx, ref.ID()); ivd.KindOf(err) == ivd.NotFound {
			return false, nil
		}
		if err == nil {
			ref = disk.Ref
			snaps, err = v.Snapshots(ctx, ref)
		}
	}
	if err != nil {
		return false, err
	}
	for _, s := range snaps {
		if s.Description != l.mark() {
			continue
		}
		found = true
		if err := v.DeleteSnapshot(ctx, ref, s.ID); err != nil {
			return found, err
		}
	}
	return found, nil
}

func (s *Service) endAccess(ctx context.Context, l Ledger) error {
	_, err := s.ask(ctx, job.Request{Op: job.EndAccess, Run: l.Run, Disk: l.Ref, Identity: l.Identity})
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
		d, err := findByName(ctx, v, l.Ref.Datastore(), l.Working)
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
