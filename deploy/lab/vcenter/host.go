package vcenter

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// host answers as the HostVStorageObjectManager of a standalone ESXi host: what the
// vCenter's manager does, under the names that a host has for it. It has neither
// changed areas nor snapshot details nor associations.
type host struct {
	unlocked
	m *manager
}

// Reference names the object to the simulator.
func (h *host) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: own, Value: "HostVStorageObjectManager"}
}

// HostListVStorageObject answers with ids in ascending order.
func (h *host) HostListVStorageObject(req *types.HostListVStorageObject) soap.HasFault {
	b := h.m.ListVStorageObject((*types.ListVStorageObject)(req)).(*methods.ListVStorageObjectBody)
	return &methods.HostListVStorageObjectBody{Res: (*types.HostListVStorageObjectResponse)(b.Res), Fault_: b.Fault_}
}

// HostRetrieveVStorageObject answers with a disk's configuration.
func (h *host) HostRetrieveVStorageObject(req *types.HostRetrieveVStorageObject) soap.HasFault {
	b := h.m.RetrieveVStorageObject((*types.RetrieveVStorageObject)(req)).(*methods.RetrieveVStorageObjectBody)
	return &methods.HostRetrieveVStorageObjectBody{Res: (*types.HostRetrieveVStorageObjectResponse)(b.Res), Fault_: b.Fault_}
}

// HostCreateDiskTask makes a disk of whole MiB.
func (h *host) HostCreateDiskTask(ctx *simulator.Context, req *types.HostCreateDisk_Task) soap.HasFault {
	b := h.m.CreateDiskTask(ctx, (*types.CreateDisk_Task)(req)).(*methods.CreateDisk_TaskBody)
	return &methods.HostCreateDisk_TaskBody{Res: (*types.HostCreateDisk_TaskResponse)(b.Res), Fault_: b.Fault_}
}

// HostRegisterDisk makes an image a disk.
func (h *host) HostRegisterDisk(req *types.HostRegisterDisk) soap.HasFault {
	b := h.m.RegisterDisk(&types.RegisterDisk{Path: req.Path, Name: req.Name}).(*methods.RegisterDiskBody)
	return &methods.HostRegisterDiskBody{Res: (*types.HostRegisterDiskResponse)(b.Res), Fault_: b.Fault_}
}

// HostRenameVStorageObject gives a disk another name.
func (h *host) HostRenameVStorageObject(req *types.HostRenameVStorageObject) soap.HasFault {
	b := h.m.RenameVStorageObject((*types.RenameVStorageObject)(req)).(*methods.RenameVStorageObjectBody)
	return &methods.HostRenameVStorageObjectBody{Res: (*types.HostRenameVStorageObjectResponse)(b.Res), Fault_: b.Fault_}
}

// HostExtendDiskTask makes a disk larger.
func (h *host) HostExtendDiskTask(ctx *simulator.Context, req *types.HostExtendDisk_Task) soap.HasFault {
	b := h.m.ExtendDiskTask(ctx, (*types.ExtendDisk_Task)(req)).(*methods.ExtendDisk_TaskBody)
	return &methods.HostExtendDisk_TaskBody{Res: (*types.HostExtendDisk_TaskResponse)(b.Res), Fault_: b.Fault_}
}

// HostDeleteVStorageObjectTask deletes a disk that is not attached.
func (h *host) HostDeleteVStorageObjectTask(ctx *simulator.Context, req *types.HostDeleteVStorageObject_Task) soap.HasFault {
	b := h.m.DeleteVStorageObjectTask(ctx, (*types.DeleteVStorageObject_Task)(req)).(*methods.DeleteVStorageObject_TaskBody)
	return &methods.HostDeleteVStorageObject_TaskBody{Res: (*types.HostDeleteVStorageObject_TaskResponse)(b.Res), Fault_: b.Fault_}
}

// HostReconcileDatastoreInventoryTask forgets the disks whose files are gone.
func (h *host) HostReconcileDatastoreInventoryTask(ctx *simulator.Context, req *types.HostReconcileDatastoreInventory_Task) soap.HasFault {
	b := h.m.ReconcileDatastoreInventoryTask(ctx, (*types.ReconcileDatastoreInventory_Task)(req)).(*methods.ReconcileDatastoreInventory_TaskBody)
	return &methods.HostReconcileDatastoreInventory_TaskBody{Res: (*types.HostReconcileDatastoreInventory_TaskResponse)(b.Res), Fault_: b.Fault_}
}

// HostSetVStorageObjectControlFlags turns flags on.
func (h *host) HostSetVStorageObjectControlFlags(req *types.HostSetVStorageObjectControlFlags) soap.HasFault {
	b := h.m.SetVStorageObjectControlFlags((*types.SetVStorageObjectControlFlags)(req)).(*methods.SetVStorageObjectControlFlagsBody)
	return &methods.HostSetVStorageObjectControlFlagsBody{Res: (*types.HostSetVStorageObjectControlFlagsResponse)(b.Res), Fault_: b.Fault_}
}

// HostClearVStorageObjectControlFlags turns flags off.
func (h *host) HostClearVStorageObjectControlFlags(req *types.HostClearVStorageObjectControlFlags) soap.HasFault {
	b := h.m.ClearVStorageObjectControlFlags((*types.ClearVStorageObjectControlFlags)(req)).(*methods.ClearVStorageObjectControlFlagsBody)
	return &methods.HostClearVStorageObjectControlFlagsBody{Res: (*types.HostClearVStorageObjectControlFlagsResponse)(b.Res), Fault_: b.Fault_}
}

// HostVStorageObjectCreateSnapshotTask makes a snapshot; its result is the id.
func (h *host) HostVStorageObjectCreateSnapshotTask(ctx *simulator.Context, req *types.HostVStorageObjectCreateSnapshot_Task) soap.HasFault {
	b := h.m.VStorageObjectCreateSnapshotTask(ctx, (*types.VStorageObjectCreateSnapshot_Task)(req)).(*methods.VStorageObjectCreateSnapshot_TaskBody)
	return &methods.HostVStorageObjectCreateSnapshot_TaskBody{Res: (*types.HostVStorageObjectCreateSnapshot_TaskResponse)(b.Res), Fault_: b.Fault_}
}

// HostVStorageObjectRetrieveSnapshotInfo lists a disk's snapshots, the oldest first.
func (h *host) HostVStorageObjectRetrieveSnapshotInfo(req *types.HostVStorageObjectRetrieveSnapshotInfo) soap.HasFault {
	b := h.m.RetrieveSnapshotInfo((*types.RetrieveSnapshotInfo)(req)).(*methods.RetrieveSnapshotInfoBody)
	return &methods.HostVStorageObjectRetrieveSnapshotInfoBody{Res: (*types.HostVStorageObjectRetrieveSnapshotInfoResponse)(b.Res), Fault_: b.Fault_}
}

// HostVStorageObjectDeleteSnapshotTask deletes a snapshot that nobody has open.
func (h *host) HostVStorageObjectDeleteSnapshotTask(ctx *simulator.Context, req *types.HostVStorageObjectDeleteSnapshot_Task) soap.HasFault {
	b := h.m.DeleteSnapshotTask(ctx, (*types.DeleteSnapshot_Task)(req)).(*methods.DeleteSnapshot_TaskBody)
	return &methods.HostVStorageObjectDeleteSnapshot_TaskBody{Res: (*types.HostVStorageObjectDeleteSnapshot_TaskResponse)(b.Res), Fault_: b.Fault_}
}

// HostVStorageObjectRevertTask brings a snapshot's content back.
func (h *host) HostVStorageObjectRevertTask(ctx *simulator.Context, req *types.HostVStorageObjectRevert_Task) soap.HasFault {
	b := h.m.RevertVStorageObjectTask(ctx, (*types.RevertVStorageObject_Task)(req)).(*methods.RevertVStorageObject_TaskBody)
	return &methods.HostVStorageObjectRevert_TaskBody{Res: (*types.HostVStorageObjectRevert_TaskResponse)(b.Res), Fault_: b.Fault_}
}

// HostVStorageObjectCreateDiskFromSnapshotTask makes a new disk of a snapshot.
func (h *host) HostVStorageObjectCreateDiskFromSnapshotTask(ctx *simulator.Context, req *types.HostVStorageObjectCreateDiskFromSnapshot_Task) soap.HasFault {
	b := h.m.CreateDiskFromSnapshotTask(ctx, &types.CreateDiskFromSnapshot_Task{
		Id: req.Id, Datastore: req.Datastore, SnapshotId: req.SnapshotId, Name: req.Name, Path: req.Path,
	}).(*methods.CreateDiskFromSnapshot_TaskBody)
	return &methods.HostVStorageObjectCreateDiskFromSnapshot_TaskBody{Res: (*types.HostVStorageObjectCreateDiskFromSnapshot_TaskResponse)(b.Res), Fault_: b.Fault_}
}
