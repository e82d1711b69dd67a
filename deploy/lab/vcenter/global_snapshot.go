package vcenter

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	vslmmethods "github.com/vmware/govmomi/vslm/methods"
	vslmtypes "github.com/vmware/govmomi/vslm/types"
)

// VslmCreateSnapshotTask makes a snapshot of a disk.
func (g *global) VslmCreateSnapshotTask(ctx *simulator.Context, req *vslmtypes.VslmCreateSnapshot_Task) soap.HasFault {
	b := g.m.VStorageObjectCreateSnapshotTask(ctx.For(vim25.Path), &types.VStorageObjectCreateSnapshot_Task{
		Id: req.Id, Datastore: g.of(req.Id), Description: req.Description,
	}).(*methods.VStorageObjectCreateSnapshot_TaskBody)
	return &vslmmethods.VslmCreateSnapshot_TaskBody{Res: &vslmtypes.VslmCreateSnapshot_TaskResponse{Returnval: g.task(ctx, b.Res.Returnval)}}
}

// VslmDeleteSnapshotTask deletes a snapshot of a disk.
func (g *global) VslmDeleteSnapshotTask(ctx *simulator.Context, req *vslmtypes.VslmDeleteSnapshot_Task) soap.HasFault {
	b := g.m.DeleteSnapshotTask(ctx.For(vim25.Path), &types.DeleteSnapshot_Task{
		Id: req.Id, Datastore: g.of(req.Id), SnapshotId: req.SnapshotId,
	}).(*methods.DeleteSnapshot_TaskBody)
	return &vslmmethods.VslmDeleteSnapshot_TaskBody{Res: &vslmtypes.VslmDeleteSnapshot_TaskResponse{Returnval: g.task(ctx, b.Res.Returnval)}}
}

// VslmRetrieveSnapshotInfo lists a disk's snapshots.
func (g *global) VslmRetrieveSnapshotInfo(req *vslmtypes.VslmRetrieveSnapshotInfo) soap.HasFault {
	b := g.m.RetrieveSnapshotInfo(&types.RetrieveSnapshotInfo{Id: req.Id, Datastore: g.of(req.Id)}).(*methods.RetrieveSnapshotInfoBody)
	if b.Fault_ != nil {
		return &vslmmethods.VslmRetrieveSnapshotInfoBody{Fault_: b.Fault_}
	}
	return &vslmmethods.VslmRetrieveSnapshotInfoBody{Res: &vslmtypes.VslmRetrieveSnapshotInfoResponse{Returnval: b.Res.Returnval}}
}
