package vcenter

import (
	"cmp"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab/estate"
)

// object is a disk in the API's form.
func (v *VCenter) object(d estate.Disk) types.VStorageObject {
	return types.VStorageObject{
		Config: types.VStorageObjectConfigInfo{
			BaseConfigInfo: types.BaseConfigInfo{
				Id:                          types.ID{Id: string(d.ID)},
				Name:                        d.Name,
				CreateTime:                  d.Created,
				KeepAfterDeleteVm:           types.NewBool(d.KeepAfterDeleteVM),
				RelocationDisabled:          types.NewBool(d.RelocationDisabled),
				NativeSnapshotSupported:     types.NewBool(false),
				ChangedBlockTrackingEnabled: types.NewBool(d.Tracking),
				Metadata:                    metadata(d),
				Backing: &types.BaseConfigInfoDiskFileBackingInfo{
					BaseConfigInfoFileBackingInfo: types.BaseConfigInfoFileBackingInfo{
						BaseConfigInfoBackingInfo: types.BaseConfigInfoBackingInfo{Datastore: v.datastores[d.Datastore]},
						FilePath:                  filePath(d),
						BackingObjectId:           d.Backing,
						KeyId:                     keyOf(d),
					},
					ProvisioningType: cmp.Or(d.Provisioning, thin),
				},
			},
			CapacityInMB:    d.Capacity / mib,
			ConsumptionType: []string{string(types.VStorageObjectConsumptionTypeDisk)},
			ConsumerId:      v.consumers(d),
		},
	}
}

func metadata(d estate.Disk) []types.KeyValue {
	var list []types.KeyValue
	for _, key := range slices.Sorted(maps.Keys(d.Metadata)) {
		list = append(list, types.KeyValue{Key: key, Value: d.Metadata[key]})
	}
	return list
}

const thin = string(types.BaseConfigInfoDiskFileBackingInfoProvisioningTypeThin)

func keyOf(d estate.Disk) *types.CryptoKeyId {
	if d.Key == "" {
		return nil
	}
	return &types.CryptoKeyId{KeyId: d.Key, ProviderId: &types.KeyProviderId{Id: "laboratory"}}
}

func filePath(d estate.Disk) string {
	return (&object.DatastorePath{Datastore: d.Datastore, Path: d.Path}).String()
}

// consumers are the instance UUIDs of the machines that a disk is attached to.
func (v *VCenter) consumers(d estate.Disk) []types.ID {
	var ids []types.ID
	for _, a := range d.Attached {
		v.withVM(a.Machine, func(_ *simulator.Context, vm *simulator.VirtualMachine) {
			ids = append(ids, types.ID{Id: vm.Config.InstanceUuid})
		})
	}
	return ids
}

// deviceOf is a disk as a machine's device.
func (v *VCenter) deviceOf(d estate.Disk, a estate.Attachment) *types.VirtualDisk {
	ref := v.datastores[d.Datastore]
	return &types.VirtualDisk{
		VirtualDevice: types.VirtualDevice{
			Key: a.Key, ControllerKey: a.Controller, UnitNumber: types.NewInt32(a.Unit),
			DeviceInfo: &types.Description{Label: d.Name, Summary: string(d.ID)},
			Backing: &types.VirtualDiskFlatVer2BackingInfo{
				VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{
					FileName: filePath(d), Datastore: &ref, BackingObjectId: &d.Backing,
				},
				DiskMode: a.Mode, ThinProvisioned: types.NewBool(cmp.Or(d.Provisioning, thin) == thin), KeyId: keyOf(d), Uuid: uuid.NewSHA1(uuid.Nil, []byte(d.ID)).String(),
			},
		},
		CapacityInKB: d.Capacity / 1024, CapacityInBytes: d.Capacity,
		VDiskId: &types.ID{Id: string(d.ID)},
	}
}
