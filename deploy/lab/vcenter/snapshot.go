package vcenter

import (
	"context"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

// VStorageObjectCreateSnapshotTask makes a snapshot; its result is the id.
func (m *manager) VStorageObjectCreateSnapshotTask(ctx *simulator.Context, req *types.VStorageObjectCreateSnapshot_Task) soap.HasFault {
	ref := m.onDisk(ctx, "createSnapshot", snapshotFault, req.Datastore, func(ctx context.Context, datastore string) (types.AnyType, error) {
		s, err := m.v.o.Estate.Snapshot(ctx, datastore, ivd.DiskID(req.Id.Id), req.Description)
		if err != nil {
			return nil, err
		}
		return types.ID{Id: string(s.ID)}, nil
	})
	return &methods.VStorageObjectCreateSnapshot_TaskBody{Res: &types.VStorageObjectCreateSnapshot_TaskResponse{Returnval: ref}}
}

// DeleteSnapshotTask deletes a snapshot that nobody has open.
func (m *manager) DeleteSnapshotTask(ctx *simulator.Context, req *types.DeleteSnapshot_Task) soap.HasFault {
	ref := m.onDisk(ctx, "deleteSnapshot", snapshotFault, req.Datastore, func(ctx context.Context, datastore string) (types.AnyType, error) {
		if r := m.v.scripted("DeleteSnapshot_Task", req); r != nil && r.Lasts > 0 {
			select {
			case <-time.After(time.Duration(r.Lasts)):
			case <-ctx.Done():
			}
		}
		return nil, m.v.o.Estate.DeleteSnapshot(ctx, datastore, ivd.DiskID(req.Id.Id), ivd.SnapshotID(req.SnapshotId.Id))
	})
	return &methods.DeleteSnapshot_TaskBody{Res: &types.DeleteSnapshot_TaskResponse{Returnval: ref}}
}

// RevertVStorageObjectTask brings a snapshot's content back and removes all later
// snapshots.
func (m *manager) RevertVStorageObjectTask(ctx *simulator.Context, req *types.RevertVStorageObject_Task) soap.HasFault {
	ref := m.onDisk(ctx, "revertVStorageObject", snapshotFault, req.Datastore, func(ctx context.Context, datastore string) (types.AnyType, error) {
		return nil, m.v.o.Estate.Revert(ctx, datastore, ivd.DiskID(req.Id.Id), ivd.SnapshotID(req.SnapshotId.Id))
	})
	return &methods.RevertVStorageObject_TaskBody{Res: &types.RevertVStorageObject_TaskResponse{Returnval: ref}}
}

// CreateDiskFromSnapshotTask makes a new disk of a snapshot's content.
func (m *manager) CreateDiskFromSnapshotTask(ctx *simulator.Context, req *types.CreateDiskFromSnapshot_Task) soap.HasFault {
	ref := m.onDisk(ctx, "createDiskFromSnapshot", snapshotFault, req.Datastore, func(ctx context.Context, datastore string) (types.AnyType, error) {
		d, err := m.v.o.Estate.CreateFrom(ctx, datastore, ivd.DiskID(req.Id.Id), ivd.SnapshotID(req.SnapshotId.Id), req.Name, req.Path)
		if err != nil {
			return nil, err
		}
		return m.v.object(d), nil
	})
	return &methods.CreateDiskFromSnapshot_TaskBody{Res: &types.CreateDiskFromSnapshot_TaskResponse{Returnval: ref}}
}

// RetrieveSnapshotInfo lists a disk's snapshots, the oldest first.
func (m *manager) RetrieveSnapshotInfo(req *types.RetrieveSnapshotInfo) soap.HasFault {
	body := new(methods.RetrieveSnapshotInfoBody)
	d, err := m.find(req.Datastore, req.Id)
	if err != nil {
		body.Fault_ = soapFault(err)
		return body
	}
	body.Res = new(types.RetrieveSnapshotInfoResponse)
	for _, s := range d.Snapshots {
		if s.Machine != "" {
			continue // a part of a machine's snapshot is none of the disk's own
		}
		body.Res.Returnval.Snapshots = append(body.Res.Returnval.Snapshots, snapshotOf(s))
	}
	return body
}

func snapshotOf(s estate.Snapshot) types.VStorageObjectSnapshotInfoVStorageObjectSnapshot {
	return types.VStorageObjectSnapshotInfoVStorageObjectSnapshot{
		Id: &types.ID{Id: string(s.ID)}, BackingObjectId: s.Backing, CreateTime: s.Created, Description: s.Description,
	}
}

// RetrieveSnapshotDetails answers with the change id, which is empty where
// changes were not tracked.
func (m *manager) RetrieveSnapshotDetails(req *types.RetrieveSnapshotDetails) soap.HasFault {
	body := new(methods.RetrieveSnapshotDetailsBody)
	d, err := m.find(req.Datastore, req.Id)
	if err != nil {
		body.Fault_ = soapFault(err)
		return body
	}
	change, err := m.v.o.Estate.ChangeID(d.Datastore, d.ID, ivd.SnapshotID(req.SnapshotId.Id))
	if err != nil {
		body.Fault_ = soapFault(err)
		return body
	}
	if r := m.v.scripted("RetrieveSnapshotDetails", req); r != nil && r.ChangeID != nil {
		change = ivd.ChangeID(*r.ChangeID)
	}
	body.Res = &types.RetrieveSnapshotDetailsResponse{
		Returnval: types.VStorageObjectSnapshotDetails{Path: filePath(d), ChangedBlockTrackingId: string(change)},
	}
	return body
}

// VstorageObjectVCenterQueryChangedDiskAreas answers with a bounded number of
// areas, and with the length that they cover.
func (m *manager) VstorageObjectVCenterQueryChangedDiskAreas(req *types.VstorageObjectVCenterQueryChangedDiskAreas) soap.HasFault {
	body := new(methods.VstorageObjectVCenterQueryChangedDiskAreasBody)
	datastore, err := m.place(req.Datastore)
	if err != nil {
		body.Fault_ = soapFault(err)
		return body
	}
	if r := m.v.scripted("VstorageObjectVCenterQueryChangedDiskAreas", req); r != nil && r.Areas != nil {
		body.Res = &types.VstorageObjectVCenterQueryChangedDiskAreasResponse{Returnval: scriptedAreas(r.Areas, req.StartOffset)}
		return body
	}
	a, err := m.v.o.Estate.Changed(datastore, ivd.DiskID(req.Id.Id), ivd.SnapshotID(req.SnapshotId.Id), req.ChangeId, req.StartOffset, m.v.o.AreasPerAnswer)
	if err != nil {
		body.Fault_ = soapFault(err)
		return body
	}
	info := types.DiskChangeInfo{StartOffset: req.StartOffset, Length: a.End - req.StartOffset}
	for _, x := range a.Extents {
		info.ChangedArea = append(info.ChangedArea, types.DiskChangeExtent{Start: x.Offset, Length: x.Length})
	}
	body.Res = &types.VstorageObjectVCenterQueryChangedDiskAreasResponse{Returnval: info}
	return body
}
