package vcenter

import (
	"context"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

// VCenterUpdateVStorageObjectMetadataExTask sets and removes pairs of a disk's
// metadata, all of them or none. Keys that are not there are removed as well.
func (m *manager) VCenterUpdateVStorageObjectMetadataExTask(ctx *simulator.Context, req *types.VCenterUpdateVStorageObjectMetadataEx_Task) soap.HasFault {
	ref := m.onDisk(ctx, "updateVStorageObjectMetadata", faultOf, req.Datastore, func(ctx context.Context, datastore string) (types.AnyType, error) {
		if err := m.checkMetadata(req.Metadata, req.DeleteKeys); err != nil {
			return nil, err
		}
		return nil, m.v.o.Estate.Change(ctx, datastore, ivd.DiskID(req.Id.Id), func(d *estate.Disk) { setMetadata(d, req.Metadata, req.DeleteKeys) })
	})
	return &methods.VCenterUpdateVStorageObjectMetadataEx_TaskBody{Res: &types.VCenterUpdateVStorageObjectMetadataEx_TaskResponse{Returnval: ref}}
}

// HostUpdateVStorageObjectMetadataExTask is the same on a host.
func (h *host) HostUpdateVStorageObjectMetadataExTask(ctx *simulator.Context, req *types.HostUpdateVStorageObjectMetadataEx_Task) soap.HasFault {
	b := h.m.VCenterUpdateVStorageObjectMetadataExTask(ctx, &types.VCenterUpdateVStorageObjectMetadataEx_Task{
		This: req.This, Id: req.Id, Datastore: req.Datastore, Metadata: req.Metadata, DeleteKeys: req.DeleteKeys,
	}).(*methods.VCenterUpdateVStorageObjectMetadataEx_TaskBody)
	return &methods.HostUpdateVStorageObjectMetadataEx_TaskBody{Res: (*types.HostUpdateVStorageObjectMetadataEx_TaskResponse)(b.Res), Fault_: b.Fault_}
}

// checkMetadata refuses a key that is there twice ("keys must be unique within the
// list") or empty, and all metadata where the API is older than it.
func (m *manager) checkMetadata(pairs []types.KeyValue, removed []string) error {
	if m.v.o.Old && len(pairs)+len(removed) > 0 {
		return ivd.Errorf(ivd.Invalid, "API %s has no metadata", oldAPI)
	}
	var keys []string
	for _, p := range pairs {
		if p.Key == "" || slices.Contains(keys, p.Key) {
			return ivd.Errorf(ivd.Invalid, "metadata key %q is empty, or there twice", p.Key)
		}
		keys = append(keys, p.Key)
	}
	return nil
}

func setMetadata(d *estate.Disk, pairs []types.KeyValue, removed []string) {
	for _, key := range removed {
		delete(d.Metadata, key)
	}
	for _, p := range pairs {
		if d.Metadata == nil {
			d.Metadata = map[string]string{}
		}
		d.Metadata[p.Key] = p.Value
	}
}
