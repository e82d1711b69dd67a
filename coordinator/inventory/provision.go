package inventory

import (
	"context"
	"errors"
	"fmt"

	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// CreateDisk makes a thin disk that reads as zeros and outlives the virtual
// machines that it will be attached to, with its marks where they are kept: the two
// come at once, since the API makes either both or nothing. Names need not be unique
// in vSphere. An error of kind Transient or Cancelled leaves open whether the disk
// exists.
func (v *VCenter) CreateDisk(ctx context.Context, datastore ivd.DatastoreID, name string, capacityMiB int64, marks ...Mark) (ivd.DiskRef, error) {
	op := fmt.Sprintf("create disk %q of %d MiB on %s", name, capacityMiB, datastore)
	if capacityMiB <= 0 {
		return ivd.DiskRef{}, ivd.Errorf(ivd.Invalid, "%s: vSphere makes disks of at least 1 MiB", op)
	}
	keep := true
	spec := types.VslmCreateSpec{
		Name: name, KeepAfterDeleteVm: &keep, CapacityInMB: capacityMiB, Metadata: v.pairs(marks),
		BackingSpec: &types.VslmCreateSpecDiskFileBackingSpec{
			VslmCreateSpecBackingSpec: types.VslmCreateSpecBackingSpec{Datastore: datastoreRef(datastore)},
			ProvisioningType:          string(types.BaseConfigInfoDiskFileBackingInfoProvisioningTypeThin),
		},
	}
	result, err := v.do(ctx, op, taskTimeout, func(ctx context.Context) (types.ManagedObjectReference, error) {
		return v.beginCreateDisk(ctx, spec)
	})
	if err != nil {
		return ivd.DiskRef{}, err
	}
	object, ok := value(result).(types.VStorageObject)
	if !ok {
		return ivd.DiskRef{}, ivd.Errorf(ivd.Transient, "%s: vCenter answered without the disk", op)
	}
	id, err := ivd.ParseDiskID(object.Config.Id.Id)
	if err != nil {
		return ivd.DiskRef{}, fmt.Errorf("%s: %w", op, err)
	}
	return ivd.NewDiskRef(v.source, datastore, id), nil
}

// Rename gives a disk another name.
func (v *VCenter) Rename(ctx context.Context, ref ivd.DiskRef, name string) error {
	return fail(ctx, fmt.Sprintf("rename disk %s on %s to %q", ref.ID(), ref.Datastore(), name), v.renameObject(ctx, ref, name))
}

// DeleteDisk removes a disk and its content. It is no error that it is gone.
func (v *VCenter) DeleteDisk(ctx context.Context, ref ivd.DiskRef) error {
	op := fmt.Sprintf("delete disk %s on %s", ref.ID(), ref.Datastore())
	_, err := v.do(ctx, op, taskTimeout, func(ctx context.Context) (types.ManagedObjectReference, error) {
		return v.beginDeleteDisk(ctx, ref)
	})
	if kind := ivd.KindOf(err); kind != ivd.NotFound && kind != ivd.Invalid {
		return err
	}
	_, lookErr := v.Disk(ctx, ref)
	switch ivd.KindOf(lookErr) {
	case ivd.NotFound:
		return nil
	case ivd.Unknown:
		if lookErr == nil {
			return err
		}
	}
	return errors.Join(err, lookErr)
}
