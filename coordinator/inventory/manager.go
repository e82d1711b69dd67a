package inventory

import (
	"context"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// The manager of virtual storage objects is a VcenterVStorageObjectManager, or on an
// standalone ESXi host a HostVStorageObjectManager, which has the same calls under other
// names. This file is the one place that knows both.

// Standalone reports whether this is an ESXi host without a vCenter: it tells no change ids
// and no changed areas, and VDDK's PrepareForAccess fails on it.
func (v *VCenter) Standalone() bool { return !v.client().IsVC() }

// OnlyHost is the host through which every disk is opened: a standalone ESXi host. A
// vCenter has none.
func (v *VCenter) OnlyHost() ivd.HostID {
	if v.Standalone() {
		return ivd.HostID(v.source)
	}
	return ""
}

// manager is what the vCenter's or host's disks are managed by.
func (v *VCenter) manager() types.ManagedObjectReference {
	return *v.own.client.ServiceContent.VStorageObjectManager
}

func (v *VCenter) listObjects(ctx context.Context, ds ivd.DatastoreID) ([]types.ID, error) {
	req := types.ListVStorageObject{This: v.manager(), Datastore: datastoreRef(ds)}
	if v.Standalone() {
		r := types.HostListVStorageObject(req)
		res, err := methods.HostListVStorageObject(ctx, v.client(), &r)
		if err != nil {
			return nil, err
		}
		return res.Returnval, nil
	}
	res, err := methods.ListVStorageObject(ctx, v.client(), &req)
	if err != nil {
		return nil, err
	}
	return res.Returnval, nil
}

func (v *VCenter) retrieveObject(ctx context.Context, ds ivd.DatastoreID, id types.ID) (types.VStorageObject, error) {
	req := types.RetrieveVStorageObject{This: v.manager(), Id: id, Datastore: datastoreRef(ds)}
	if v.Standalone() {
		r := types.HostRetrieveVStorageObject(req)
		res, err := methods.HostRetrieveVStorageObject(ctx, v.client(), &r)
		if err != nil {
			return types.VStorageObject{}, err
		}
		return res.Returnval, nil
	}
	res, err := methods.RetrieveVStorageObject(ctx, v.client(), &req)
	if err != nil {
		return types.VStorageObject{}, err
	}
	return res.Returnval, nil
}

func (v *VCenter) snapshotInfo(ctx context.Context, ref ivd.DiskRef) (types.VStorageObjectSnapshotInfo, error) {
	req := types.RetrieveSnapshotInfo{This: v.manager(), Id: types.ID{Id: string(ref.ID())}, Datastore: datastoreRef(ref.Datastore())}
	if v.Standalone() {
		r := types.HostVStorageObjectRetrieveSnapshotInfo(req)
		res, err := methods.HostVStorageObjectRetrieveSnapshotInfo(ctx, v.client(), &r)
		if err != nil {
			return types.VStorageObjectSnapshotInfo{}, err
		}
		return res.Returnval, nil
	}
	res, err := methods.RetrieveSnapshotInfo(ctx, v.client(), &req)
	if err != nil {
		return types.VStorageObjectSnapshotInfo{}, err
	}
	return res.Returnval, nil
}

func (v *VCenter) renameObject(ctx context.Context, ref ivd.DiskRef, name string) error {
	req := types.RenameVStorageObject{This: v.manager(), Id: types.ID{Id: string(ref.ID())}, Datastore: datastoreRef(ref.Datastore()), Name: name}
	if v.Standalone() {
		r := types.HostRenameVStorageObject(req)
		_, err := methods.HostRenameVStorageObject(ctx, v.client(), &r)
		return err
	}
	_, err := methods.RenameVStorageObject(ctx, v.client(), &req)
	return err
}

// Those that begin a task.

func (v *VCenter) beginCreateDisk(ctx context.Context, spec types.VslmCreateSpec) (types.ManagedObjectReference, error) {
	req := types.CreateDisk_Task{This: v.manager(), Spec: spec}
	if v.Standalone() {
		r := types.HostCreateDisk_Task(req)
		res, err := methods.HostCreateDisk_Task(ctx, v.client(), &r)
		return begun((*types.CreateDisk_TaskResponse)(res), err)
	}
	return begun(methods.CreateDisk_Task(ctx, v.client(), &req))
}

func (v *VCenter) beginDeleteDisk(ctx context.Context, ref ivd.DiskRef) (types.ManagedObjectReference, error) {
	req := types.DeleteVStorageObject_Task{This: v.manager(), Id: types.ID{Id: string(ref.ID())}, Datastore: datastoreRef(ref.Datastore())}
	if v.Standalone() {
		r := types.HostDeleteVStorageObject_Task(req)
		res, err := methods.HostDeleteVStorageObject_Task(ctx, v.client(), &r)
		return begun((*types.DeleteVStorageObject_TaskResponse)(res), err)
	}
	return begun(methods.DeleteVStorageObject_Task(ctx, v.client(), &req))
}

func (v *VCenter) beginRemoveMetadata(ctx context.Context, ref ivd.DiskRef, keys []string) (types.ManagedObjectReference, error) {
	req := types.VCenterUpdateVStorageObjectMetadataEx_Task{
		This: v.manager(), Id: types.ID{Id: string(ref.ID())}, Datastore: datastoreRef(ref.Datastore()), DeleteKeys: keys,
	}
	if v.Standalone() {
		r := types.HostUpdateVStorageObjectMetadataEx_Task(req)
		res, err := methods.HostUpdateVStorageObjectMetadataEx_Task(ctx, v.client(), &r)
		return begun((*types.VCenterUpdateVStorageObjectMetadataEx_TaskResponse)(res), err)
	}
	return begun(methods.VCenterUpdateVStorageObjectMetadataEx_Task(ctx, v.client(), &req))
}

func (v *VCenter) beginSnapshot(ctx context.Context, ref ivd.DiskRef, description string) (types.ManagedObjectReference, error) {
	req := types.VStorageObjectCreateSnapshot_Task{
		This: v.manager(), Id: types.ID{Id: string(ref.ID())}, Datastore: datastoreRef(ref.Datastore()), Description: description,
	}
	if v.Standalone() {
		r := types.HostVStorageObjectCreateSnapshot_Task(req)
		res, err := methods.HostVStorageObjectCreateSnapshot_Task(ctx, v.client(), &r)
		return begun((*types.VStorageObjectCreateSnapshot_TaskResponse)(res), err)
	}
	return begun(methods.VStorageObjectCreateSnapshot_Task(ctx, v.client(), &req))
}

func (v *VCenter) beginDeleteSnapshot(ctx context.Context, ref ivd.DiskRef, id ivd.SnapshotID) (types.ManagedObjectReference, error) {
	req := types.DeleteSnapshot_Task{
		This: v.manager(), Id: types.ID{Id: string(ref.ID())}, Datastore: datastoreRef(ref.Datastore()), SnapshotId: types.ID{Id: string(id)},
	}
	if v.Standalone() {
		r := types.HostVStorageObjectDeleteSnapshot_Task(req)
		res, err := methods.HostVStorageObjectDeleteSnapshot_Task(ctx, v.client(), &r)
		return begun((*types.DeleteSnapshot_TaskResponse)(res), err)
	}
	return begun(methods.DeleteSnapshot_Task(ctx, v.client(), &req))
}

// taskBegun is any answer with which a task begins.
type taskBegun interface {
	~struct {
		Returnval types.ManagedObjectReference `xml:"returnval" json:"returnval"`
	}
}

func begun[T taskBegun](res *T, err error) (types.ManagedObjectReference, error) {
	if err != nil {
		return types.ManagedObjectReference{}, err
	}
	return struct {
		Returnval types.ManagedObjectReference `xml:"returnval" json:"returnval"`
	}(*res).Returnval, nil
}
