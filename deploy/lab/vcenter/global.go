package vcenter

import (
	"cmp"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vslm"
	vslmmethods "github.com/vmware/govmomi/vslm/methods"
	vslmtypes "github.com/vmware/govmomi/vslm/types"

	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

var globalManager = types.ManagedObjectReference{Type: "VslmVStorageObjectManager", Value: "VStorageObjectManager"}

// serveGlobal answers the global catalogue's API, below a path of its own: the same
// disks without their datastores, which it finds by itself. It knows a session by the
// cookie in a request's SOAP header.
func (v *VCenter) serveGlobal() {
	r := simulator.NewRegistry()
	r.Namespace, r.Path, r.Cookie = vslm.Namespace, vslm.Path, simulator.SOAPCookie
	r.Put(&globalService{})
	r.Put(&global{m: &manager{v: v}})
	v.service.RegisterSDK(r)
}

// globalService is where clients of the global catalogue begin.
type globalService struct{ unlocked }

// Reference names the object to the simulator.
func (*globalService) Reference() types.ManagedObjectReference { return vslm.ServiceInstance }

// RetrieveContent names the catalogue's managers.
func (*globalService) RetrieveContent(*vslmtypes.RetrieveContent) soap.HasFault {
	return &vslmmethods.RetrieveContentBody{Res: &vslmtypes.RetrieveContentResponse{
		Returnval: vslmtypes.VslmServiceInstanceContent{
			AboutInfo:               vslmtypes.VslmAboutInfo{Name: "VSLM", FullName: "VSLM", Vendor: "ivdmover", ApiVersion: "1.0.0", InstanceUuid: "0"},
			SessionManager:          types.ManagedObjectReference{Type: "VslmSessionManager", Value: "SessionManager"},
			VStorageObjectManager:   globalManager,
			StorageLifecycleManager: types.ManagedObjectReference{Type: "VslmStorageLifecycleManager", Value: "StorageLifecycleManager"},
		},
	}}
}

// global answers for all datastores what manager answers for one.
type global struct {
	unlocked
	m *manager
}

// Reference names the object to the simulator.
func (*global) Reference() types.ManagedObjectReference { return globalManager }

// of is the datastore of a disk; an unknown one's is none.
func (g *global) of(id types.ID) types.ManagedObjectReference {
	d, err := g.m.v.o.Estate.Search(ivd.DiskID(id.Id))
	if err != nil {
		return types.ManagedObjectReference{Type: "Datastore"}
	}
	return g.m.v.datastores[d.Datastore]
}

// find is a disk; its error is the fault that the catalogue has for an unknown one.
func (g *global) find(id types.ID) (estate.Disk, *soap.Fault) {
	d, err := g.m.v.o.Estate.Search(ivd.DiskID(id.Id))
	if err == nil {
		d, err = g.m.v.o.Estate.Disk(d.Datastore, d.ID) // whose files are there
	}
	if err != nil {
		return d, soapFault(err)
	}
	return d, nil
}

// globalTask is a task of the catalogue: a proxy of the vCenter's.
type globalTask struct {
	unlocked
	ref types.ManagedObjectReference
}

// Reference names the object to the simulator.
func (t *globalTask) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "VslmTask", Value: t.ref.Value}
}

func (*global) task(ctx *simulator.Context, ref types.ManagedObjectReference) types.ManagedObjectReference {
	return ctx.Map.Put(&globalTask{ref: ref}).Reference()
}

func (t *globalTask) info(ctx *simulator.Context) (types.TaskInfo, *soap.Fault) {
	vim := ctx.For(vim25.Path)
	task, ok := vim.Map.Get(t.ref).(*simulator.Task)
	if !ok {
		return types.TaskInfo{}, simulator.Fault("", &types.ManagedObjectNotFound{Obj: t.ref})
	}
	defer vim.Map.AcquireLock(vim, t.ref)()
	return task.Info, nil
}

// VslmQueryInfo is asked again and again by clients: the catalogue has no collector of
// properties.
func (t *globalTask) VslmQueryInfo(ctx *simulator.Context, _ *vslmtypes.VslmQueryInfo) soap.HasFault {
	body := new(vslmmethods.VslmQueryInfoBody)
	info, fault := t.info(ctx)
	if body.Fault_ = fault; fault != nil {
		return body
	}
	body.Res = &vslmtypes.VslmQueryInfoResponse{Returnval: vslmtypes.VslmTaskInfo{
		Key: t.ref.Value, Task: t.Reference(), DescriptionId: info.DescriptionId, State: vslmtypes.VslmTaskInfoState(info.State),
		Error: info.Error, Result: info.Result, QueueTime: info.QueueTime, StartTime: info.StartTime, CompleteTime: info.CompleteTime,
	}}
	return body
}

// VslmQueryTaskResult answers with what a task has come to.
func (t *globalTask) VslmQueryTaskResult(ctx *simulator.Context, _ *vslmtypes.VslmQueryTaskResult) soap.HasFault {
	info, fault := t.info(ctx)
	if fault != nil {
		return &vslmmethods.VslmQueryTaskResultBody{Fault_: fault}
	}
	return &vslmmethods.VslmQueryTaskResultBody{Res: &vslmtypes.VslmQueryTaskResultResponse{Returnval: info.Result}}
}

// VslmCreateDiskTask makes a disk on the datastore that its backing names.
func (g *global) VslmCreateDiskTask(ctx *simulator.Context, req *vslmtypes.VslmCreateDisk_Task) soap.HasFault {
	b := g.m.CreateDiskTask(ctx.For(vim25.Path), &types.CreateDisk_Task{Spec: req.Spec}).(*methods.CreateDisk_TaskBody)
	return &vslmmethods.VslmCreateDisk_TaskBody{Res: &vslmtypes.VslmCreateDisk_TaskResponse{Returnval: g.task(ctx, b.Res.Returnval)}}
}

// VslmRegisterDisk makes a disk of a descriptor that is there.
func (g *global) VslmRegisterDisk(req *vslmtypes.VslmRegisterDisk) soap.HasFault {
	b := g.m.RegisterDisk(&types.RegisterDisk{Path: req.Path, Name: req.Name}).(*methods.RegisterDiskBody)
	if b.Fault_ != nil {
		return &vslmmethods.VslmRegisterDiskBody{Fault_: b.Fault_}
	}
	return &vslmmethods.VslmRegisterDiskBody{Res: &vslmtypes.VslmRegisterDiskResponse{Returnval: b.Res.Returnval}}
}

// VslmDeleteVStorageObjectTask deletes a disk wherever it is.
func (g *global) VslmDeleteVStorageObjectTask(ctx *simulator.Context, req *vslmtypes.VslmDeleteVStorageObject_Task) soap.HasFault {
	b := g.m.DeleteVStorageObjectTask(ctx.For(vim25.Path), &types.DeleteVStorageObject_Task{Id: req.Id, Datastore: g.of(req.Id)}).(*methods.DeleteVStorageObject_TaskBody)
	return &vslmmethods.VslmDeleteVStorageObject_TaskBody{Res: &vslmtypes.VslmDeleteVStorageObject_TaskResponse{Returnval: g.task(ctx, b.Res.Returnval)}}
}

// VslmRetrieveVStorageObject answers with a disk's configuration.
func (g *global) VslmRetrieveVStorageObject(req *vslmtypes.VslmRetrieveVStorageObject) soap.HasFault {
	d, fault := g.find(req.Id)
	if fault != nil {
		return &vslmmethods.VslmRetrieveVStorageObjectBody{Fault_: fault}
	}
	return &vslmmethods.VslmRetrieveVStorageObjectBody{Res: &vslmtypes.VslmRetrieveVStorageObjectResponse{Returnval: g.m.v.object(d)}}
}

// VslmListVStorageObjectForSpec answers with the disks that match every part of a
// query, by their ids, up to the number that is asked for.
func (g *global) VslmListVStorageObjectForSpec(req *vslmtypes.VslmListVStorageObjectForSpec) soap.HasFault {
	all := g.m.v.o.Estate.All()
	slices.SortFunc(all, func(a, b estate.Disk) int { return cmp.Compare(a.ID, b.ID) })
	res := &vslmtypes.VslmVsoVStorageObjectQueryResult{AllRecordsReturned: true}
	for _, d := range all {
		o := g.m.v.object(d)
		fits, err := g.fits(d, o, req.Query)
		if err != nil {
			return &vslmmethods.VslmListVStorageObjectForSpecBody{Fault_: soapFault(err)}
		}
		if !fits {
			continue
		}
		if len(res.Id) == int(req.MaxResult) {
			res.AllRecordsReturned = false
			break
		}
		res.Id = append(res.Id, o.Config.Id)
		res.QueryResults = append(res.QueryResults, vslmtypes.VslmVsoVStorageObjectResult{
			Id: o.Config.Id, Name: o.Config.Name, CapacityInMB: o.Config.CapacityInMB, CreateTime: &o.Config.CreateTime,
		})
	}
	return &vslmmethods.VslmListVStorageObjectForSpecBody{Res: &vslmtypes.VslmListVStorageObjectForSpecResponse{Returnval: res}}
}

// VslmAttachTagToVStorageObject attaches one of the vCenter's tags to a disk.
func (g *global) VslmAttachTagToVStorageObject(req *vslmtypes.VslmAttachTagToVStorageObject) soap.HasFault {
	b := g.m.AttachTagToVStorageObject(&types.AttachTagToVStorageObject{Id: req.Id, Category: req.Category, Tag: req.Tag})
	if b.Fault() != nil {
		return &vslmmethods.VslmAttachTagToVStorageObjectBody{Fault_: b.Fault()}
	}
	return &vslmmethods.VslmAttachTagToVStorageObjectBody{Res: new(vslmtypes.VslmAttachTagToVStorageObjectResponse)}
}

// VslmDetachTagFromVStorageObject takes a tag from a disk.
func (g *global) VslmDetachTagFromVStorageObject(req *vslmtypes.VslmDetachTagFromVStorageObject) soap.HasFault {
	b := g.m.DetachTagFromVStorageObject(&types.DetachTagFromVStorageObject{Id: req.Id, Category: req.Category, Tag: req.Tag})
	if b.Fault() != nil {
		return &vslmmethods.VslmDetachTagFromVStorageObjectBody{Fault_: b.Fault()}
	}
	return &vslmmethods.VslmDetachTagFromVStorageObjectBody{Res: new(vslmtypes.VslmDetachTagFromVStorageObjectResponse)}
}

// VslmListTagsAttachedToVStorageObject answers with a disk's tags.
func (g *global) VslmListTagsAttachedToVStorageObject(req *vslmtypes.VslmListTagsAttachedToVStorageObject) soap.HasFault {
	b := g.m.ListTagsAttachedToVStorageObject(&types.ListTagsAttachedToVStorageObject{Id: req.Id}).(*methods.ListTagsAttachedToVStorageObjectBody)
	if b.Fault_ != nil {
		return &vslmmethods.VslmListTagsAttachedToVStorageObjectBody{Fault_: b.Fault_}
	}
	return &vslmmethods.VslmListTagsAttachedToVStorageObjectBody{Res: &vslmtypes.VslmListTagsAttachedToVStorageObjectResponse{Returnval: b.Res.Returnval}}
}

// VslmListVStorageObjectsAttachedToTag answers with the disks that have a tag.
func (g *global) VslmListVStorageObjectsAttachedToTag(req *vslmtypes.VslmListVStorageObjectsAttachedToTag) soap.HasFault {
	b := g.m.ListVStorageObjectsAttachedToTag(&types.ListVStorageObjectsAttachedToTag{Category: req.Category, Tag: req.Tag}).(*methods.ListVStorageObjectsAttachedToTagBody)
	if b.Fault_ != nil {
		return &vslmmethods.VslmListVStorageObjectsAttachedToTagBody{Fault_: b.Fault_}
	}
	return &vslmmethods.VslmListVStorageObjectsAttachedToTagBody{Res: &vslmtypes.VslmListVStorageObjectsAttachedToTagResponse{Returnval: b.Res.Returnval}}
}

// VslmUpdateVStorageObjectMetadataTask sets and removes pairs of a disk's metadata.
func (g *global) VslmUpdateVStorageObjectMetadataTask(ctx *simulator.Context, req *vslmtypes.VslmUpdateVStorageObjectMetadata_Task) soap.HasFault {
	b := g.m.VCenterUpdateVStorageObjectMetadataExTask(ctx.For(vim25.Path), &types.VCenterUpdateVStorageObjectMetadataEx_Task{
		Id: req.Id, Datastore: g.of(req.Id), Metadata: req.Metadata, DeleteKeys: req.DeleteKeys,
	}).(*methods.VCenterUpdateVStorageObjectMetadataEx_TaskBody)
	return &vslmmethods.VslmUpdateVStorageObjectMetadata_TaskBody{Res: &vslmtypes.VslmUpdateVStorageObjectMetadata_TaskResponse{Returnval: g.task(ctx, b.Res.Returnval)}}
}

// VslmRetrieveVStorageObjectMetadata answers with the pairs whose keys have a prefix.
func (g *global) VslmRetrieveVStorageObjectMetadata(req *vslmtypes.VslmRetrieveVStorageObjectMetadata) soap.HasFault {
	d, fault := g.find(req.Id)
	if fault != nil {
		return &vslmmethods.VslmRetrieveVStorageObjectMetadataBody{Fault_: fault}
	}
	res := new(vslmtypes.VslmRetrieveVStorageObjectMetadataResponse)
	for key, value := range d.Metadata {
		if strings.HasPrefix(key, req.Prefix) {
			res.Returnval = append(res.Returnval, types.KeyValue{Key: key, Value: value})
		}
	}
	slices.SortFunc(res.Returnval, func(a, b types.KeyValue) int { return cmp.Compare(a.Key, b.Key) })
	return &vslmmethods.VslmRetrieveVStorageObjectMetadataBody{Res: res}
}

// VslmRetrieveVStorageObjectMetadataValue answers with a key's value.
func (g *global) VslmRetrieveVStorageObjectMetadataValue(req *vslmtypes.VslmRetrieveVStorageObjectMetadataValue) soap.HasFault {
	d, fault := g.find(req.Id)
	if fault != nil {
		return &vslmmethods.VslmRetrieveVStorageObjectMetadataValueBody{Fault_: fault}
	}
	value, there := d.Metadata[req.Key]
	if !there {
		return &vslmmethods.VslmRetrieveVStorageObjectMetadataValueBody{Fault_: simulator.Fault("", &types.KeyNotFound{Key: req.Key})}
	}
	return &vslmmethods.VslmRetrieveVStorageObjectMetadataValueBody{Res: &vslmtypes.VslmRetrieveVStorageObjectMetadataValueResponse{Returnval: value}}
}
