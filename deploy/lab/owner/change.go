package owner

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// Extend makes a disk larger.
func (o *Owner) Extend(ctx context.Context, ref ivd.DiskRef, mib int64) error {
	t, err := o.disks.ExtendDisk(ctx, datastore(ref.Datastore()), string(ref.ID()), mib)
	return wait(ctx, t, err, "extend", ref)
}

// Delete deletes a disk with all that is on it.
func (o *Owner) Delete(ctx context.Context, ref ivd.DiskRef) error {
	t, err := o.disks.Delete(ctx, datastore(ref.Datastore()), string(ref.ID()))
	return wait(ctx, t, err, "delete", ref)
}

// DeleteSnapshot deletes a snapshot of a disk.
func (o *Owner) DeleteSnapshot(ctx context.Context, ref ivd.DiskRef, snapshot string) error {
	t, err := o.disks.DeleteSnapshot(ctx, datastore(ref.Datastore()), string(ref.ID()), snapshot)
	return wait(ctx, t, err, "delete a snapshot of", ref)
}

func wait(ctx context.Context, t *object.Task, err error, doing string, ref ivd.DiskRef) error {
	if err == nil {
		_, err = t.WaitForResult(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s disk %s: %w", doing, ref.ID(), err)
	}
	return nil
}

// Track turns changed block tracking of a disk on or off. To turn it off and on
// again resets it.
func (o *Owner) Track(ctx context.Context, ref ivd.DiskRef, on bool) (err error) {
	manager := *o.client.ServiceContent.VStorageObjectManager
	flags := []string{string(types.VslmVStorageObjectControlFlagEnableChangedBlockTracking)}
	id := types.ID{Id: string(ref.ID())}
	if on {
		_, err = methods.SetVStorageObjectControlFlags(ctx, o.client, &types.SetVStorageObjectControlFlags{This: manager, Id: id, Datastore: datastore(ref.Datastore()), ControlFlags: flags})
	} else {
		_, err = methods.ClearVStorageObjectControlFlags(ctx, o.client, &types.ClearVStorageObjectControlFlags{This: manager, Id: id, Datastore: datastore(ref.Datastore()), ControlFlags: flags})
	}
	if err != nil {
		return fmt.Errorf("track the changes of disk %s: %w", ref.ID(), err)
	}
	return nil
}
