package inventory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// Snapshot is one of an IVD's.
type Snapshot struct {
	ID          ivd.SnapshotID
	Description string // by it its maker knows it again
	Created     time.Time
}

// CreateSnapshot makes a snapshot. Its description is all by which it is known
// again, should the answer be lost: an error of kind Transient or Cancelled
// leaves open whether it exists. Kind Full: the datastore has not the free space that
// the configuration wants, and none was asked for.
func (v *VCenter) CreateSnapshot(ctx context.Context, ref ivd.DiskRef, description string) (ivd.SnapshotID, error) {
	op := fmt.Sprintf("create a snapshot of disk %s on %s", ref.ID(), ref.Datastore())
	if err := v.roomFor(ctx, ref.Datastore()); err != nil {
		return "", err
	}
	result, err := v.do(ctx, op, taskTimeout, func(ctx context.Context) (types.ManagedObjectReference, error) {
		return v.beginSnapshot(ctx, ref, description)
	})
	if err != nil {
		return "", err
	}
	id, ok := value(result).(types.ID)
	if !ok || id.Id == "" {
		return "", ivd.Errorf(ivd.Transient, "%s: vCenter answered without its id", op)
	}
	return ivd.SnapshotID(id.Id), nil
}

// Snapshot asks for one of a disk's snapshots.
func (v *VCenter) Snapshot(ctx context.Context, ref ivd.DiskRef, id ivd.SnapshotID) (Snapshot, error) {
	all, err := v.Snapshots(ctx, ref)
	if err != nil {
		return Snapshot{}, err
	}
	i := slices.IndexFunc(all, func(s Snapshot) bool { return s.ID == id })
	if i < 0 {
		return Snapshot{}, ivd.Errorf(ivd.NotFound, "disk %s on %s has no snapshot %s", ref.ID(), ref.Datastore(), id)
	}
	return all[i], nil
}

// Snapshots lists a disk's snapshots, whoever made them, oldest first.
func (v *VCenter) Snapshots(ctx context.Context, ref ivd.DiskRef) ([]Snapshot, error) {
	info, err := v.snapshotInfo(ctx, ref)
	if err != nil {
		return nil, diskError(ctx, fmt.Sprintf("list the snapshots of disk %s on %s", ref.ID(), ref.Datastore()), err)
	}
	var list []Snapshot
	for _, s := range info.Snapshots {
		if s.Id != nil {
			list = append(list, Snapshot{ID: ivd.SnapshotID(s.Id.Id), Description: s.Description, Created: s.CreateTime})
		}
	}
	slices.SortStableFunc(list, func(a, b Snapshot) int { return a.Created.Compare(b.Created) })
	return list, nil
}

// ListSnapshots is Snapshots for a list of many disks: an answer that was lost is asked
// for again.
func (v *VCenter) ListSnapshots(ctx context.Context, ref ivd.DiskRef) (list []Snapshot, err error) {
	err = v.readAgain.Do(ctx, func(ctx context.Context) error {
		list, err = v.Snapshots(ctx, ref)
		return err
	})
	return list, err
}

// DeleteSnapshot removes a snapshot, also where the disk was relocated meanwhile.
// It is no error that it is gone, or its disk.
func (v *VCenter) DeleteSnapshot(ctx context.Context, ref ivd.DiskRef, id ivd.SnapshotID) error {
	err := v.deleteSnapshot(ctx, ref, id)
	if kind := ivd.KindOf(err); kind != ivd.NotFound && kind != ivd.Invalid {
		return err
	}
	// vSphere does not say which of the two is not there.
	snapshots, listErr := v.Snapshots(ctx, ref)
	if listErr == nil {
		if slices.ContainsFunc(snapshots, func(s Snapshot) bool { return s.ID == id }) {
			return err
		}
		return nil
	}
	if ivd.KindOf(listErr) != ivd.NotFound {
		return listErr
	}
	disk, findErr := v.Find(ctx, ref.ID())
	switch {
	case ivd.KindOf(findErr) == ivd.NotFound:
		return nil
	case findErr != nil:
		return findErr
	case disk.Ref.Datastore() == ref.Datastore():
		return err
	}
	return v.DeleteSnapshot(ctx, disk.Ref, id)
}

func (v *VCenter) deleteSnapshot(ctx context.Context, ref ivd.DiskRef, id ivd.SnapshotID) error {
	op := fmt.Sprintf("delete snapshot %s of disk %s on %s", id, ref.ID(), ref.Datastore())
	_, err := v.do(ctx, op, deleteTimeout, func(ctx context.Context) (types.ManagedObjectReference, error) {
		return v.beginDeleteSnapshot(ctx, ref, id)
	})
	return err
}
