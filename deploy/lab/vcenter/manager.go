package vcenter

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

const mib = 1 << 20

// manager answers as the VcenterVStorageObjectManager. The simulator finds its
// methods by their names.
type manager struct {
	unlocked
	v *VCenter
}

// Reference names the object to the simulator.
func (m *manager) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: own, Value: "VStorageObjectManager"}
}

// place finds the datastore that a call names.
func (m *manager) place(ref types.ManagedObjectReference) (string, error) {
	if name, ok := m.v.Datastore(ref.Value); ok && ref.Type == "Datastore" {
		return name, nil
	}
	return "", &badDatastore{ref}
}

// find is the disk that most calls name.
func (m *manager) find(ref types.ManagedObjectReference, id types.ID) (estate.Disk, error) {
	name, err := m.place(ref)
	if err != nil {
		return estate.Disk{}, err
	}
	return m.v.o.Estate.Disk(name, ivd.DiskID(id.Id))
}

// ListVStorageObject answers with ids in ascending order.
func (m *manager) ListVStorageObject(req *types.ListVStorageObject) soap.HasFault {
	body := new(methods.ListVStorageObjectBody)
	name, err := m.place(req.Datastore)
	if err != nil {
		body.Fault_ = soapFault(err)
		return body
	}
	body.Res = new(types.ListVStorageObjectResponse)
	for _, d := range m.v.o.Estate.Disks(name) {
		body.Res.Returnval = append(body.Res.Returnval, types.ID{Id: string(d.ID)})
	}
	if r := m.v.scripted("ListVStorageObject", req); r != nil {
		for _, id := range r.Also {
			body.Res.Returnval = append(body.Res.Returnval, types.ID{Id: id})
		}
	}
	return body
}

// RetrieveVStorageObject answers with a disk's configuration.
func (m *manager) RetrieveVStorageObject(req *types.RetrieveVStorageObject) soap.HasFault {
	body := new(methods.RetrieveVStorageObjectBody)
	d, err := m.find(req.Datastore, req.Id)
	if r := m.v.scripted("RetrieveVStorageObject", req); err != nil && r != nil && r.Anywhere {
		d, err = m.v.o.Estate.Search(ivd.DiskID(req.Id.Id))
	}
	if err != nil {
		body.Fault_ = soapFault(err)
		return body
	}
	body.Res = &types.RetrieveVStorageObjectResponse{Returnval: m.v.object(d)}
	return body
}

// RetrieveVStorageObjectAssociations answers with the machines of many disks at
// once, by their managed object ids; a disk that is not there has a fault of its own.
func (m *manager) RetrieveVStorageObjectAssociations(req *types.RetrieveVStorageObjectAssociations) soap.HasFault {
	res := new(types.RetrieveVStorageObjectAssociationsResponse)
	for _, spec := range req.Ids {
		a := types.VStorageObjectAssociations{Id: spec.Id}
		d, err := m.find(spec.Datastore, spec.Id)
		if err != nil {
			a.Fault = &types.LocalizedMethodFault{Fault: faultOf(err), LocalizedMessage: err.Error()}
		}
		for _, x := range d.Attached {
			a.VmDiskAssociations = append(a.VmDiskAssociations, types.VStorageObjectAssociationsVmDiskAssociations{
				VmId: m.v.MachineID(x.Machine), DiskKey: x.Key,
			})
		}
		res.Returnval = append(res.Returnval, a)
	}
	return &methods.RetrieveVStorageObjectAssociationsBody{Res: res}
}

// CreateDiskTask makes a disk of whole MiB.
func (m *manager) CreateDiskTask(ctx *simulator.Context, req *types.CreateDisk_Task) soap.HasFault {
	ref := m.v.task(ctx, "createDisk", faultOf, func(ctx context.Context) (types.AnyType, error) {
		backing, ok := req.Spec.BackingSpec.(*types.VslmCreateSpecDiskFileBackingSpec)
		if !ok {
			return nil, ivd.Errorf(ivd.Invalid, "backing of type %T", req.Spec.BackingSpec)
		}
		name, err := m.place(backing.Datastore)
		if err != nil {
			return nil, err
		}
		if _, err := policyOf(req.Spec.Profile); err != nil {
			return nil, err
		}
		size := req.Spec.CapacityInMB
		if size <= 0 || size > ivd.MaxCapacity/mib {
			return nil, ivd.Errorf(ivd.Invalid, "capacity of %d MiB", size)
		}
		if err := m.checkMetadata(req.Spec.Metadata, nil); err != nil {
			return nil, err
		}
		d, err := m.v.o.Estate.Create(ctx, name, req.Spec.Name, backing.Path, size*mib, func(d *estate.Disk) { asked(d, req.Spec) })
		if err != nil {
			return nil, err
		}
		return m.v.object(d), nil
	})
	return &methods.CreateDisk_TaskBody{Res: &types.CreateDisk_TaskResponse{Returnval: ref}}
}

// asked makes a new disk what was asked for beside its size.
func asked(d *estate.Disk, spec types.VslmCreateSpec) {
	d.KeepAfterDeleteVM = spec.KeepAfterDeleteVm != nil && *spec.KeepAfterDeleteVm
	if b, ok := spec.BackingSpec.(*types.VslmCreateSpecDiskFileBackingSpec); ok && b.ProvisioningType != thin {
		d.Provisioning = b.ProvisioningType
	}
	if c, ok := spec.Crypto.(*types.CryptoSpecEncrypt); ok {
		d.Key = c.CryptoKeyId.KeyId
	}
	d.Policy, _ = policyOf(spec.Profile) // which was looked at before
	setMetadata(d, spec.Metadata, nil)
}

// RegisterDisk takes the URL of a descriptor below /folder/, as vSphere does, and
// "[datastore] path" as well.
func (m *manager) RegisterDisk(req *types.RegisterDisk) soap.HasFault {
	body := new(methods.RegisterDiskBody)
	datastore, file, err := m.parsePath(req.Path)
	if err != nil {
		body.Fault_ = soapFault(err)
		return body
	}
	d, err := m.v.o.Estate.Register(datastore, file, req.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		body.Fault_ = simulator.Fault(err.Error(), &types.FileNotFound{FileFault: types.FileFault{File: req.Path}})
	case err != nil:
		body.Fault_ = soapFault(err)
	default:
		body.Res = &types.RegisterDiskResponse{Returnval: m.v.object(d)}
	}
	return body
}

func (m *manager) parsePath(path string) (datastore, file string, err error) {
	if rest, ok := strings.CutPrefix(path, "["); ok {
		datastore, file, _ = strings.Cut(rest, "]")
		file = strings.TrimSpace(file)
	} else {
		u, err := url.Parse(path)
		if err != nil {
			return "", "", ivd.Errorf(ivd.Invalid, "path %q: %w", path, err)
		}
		datastore, file = u.Query().Get("dsName"), strings.TrimPrefix(u.Path, "/folder/")
	}
	for _, name := range m.v.o.Estate.Datastores() {
		if name == datastore {
			return datastore, file, nil
		}
	}
	return "", "", ivd.Errorf(ivd.Invalid, "path %q names no datastore: want https://…/folder/fcd/x.vmdk?dcPath=…&dsName=…", path)
}

// DeleteVStorageObjectTask deletes a disk that is not attached, snapshots and all.
func (m *manager) DeleteVStorageObjectTask(ctx *simulator.Context, req *types.DeleteVStorageObject_Task) soap.HasFault {
	ref := m.onDisk(ctx, "deleteVStorageObject", faultOf, req.Datastore, func(ctx context.Context, datastore string) (types.AnyType, error) {
		return nil, m.v.o.Estate.Delete(ctx, datastore, ivd.DiskID(req.Id.Id))
	})
	return &methods.DeleteVStorageObject_TaskBody{Res: &types.DeleteVStorageObject_TaskResponse{Returnval: ref}}
}

// ReconcileDatastoreInventoryTask forgets the disks whose files are gone.
func (m *manager) ReconcileDatastoreInventoryTask(ctx *simulator.Context, req *types.ReconcileDatastoreInventory_Task) soap.HasFault {
	ref := m.onDisk(ctx, "reconcileDatastoreInventory", faultOf, req.Datastore, func(ctx context.Context, datastore string) (types.AnyType, error) {
		for _, d := range m.v.o.Estate.Disks(datastore) {
			if _, err := m.v.o.Estate.Disk(datastore, d.ID); ivd.KindOf(err) == ivd.NotFound {
				if err := m.v.o.Estate.Delete(ctx, datastore, d.ID); err != nil {
					return nil, err
				}
			}
		}
		return nil, nil
	})
	return &methods.ReconcileDatastoreInventory_TaskBody{Res: &types.ReconcileDatastoreInventory_TaskResponse{Returnval: ref}}
}

// ExtendDiskTask makes a disk larger; it fails while the disk has a snapshot.
func (m *manager) ExtendDiskTask(ctx *simulator.Context, req *types.ExtendDisk_Task) soap.HasFault {
	ref := m.onDisk(ctx, "extendDisk", faultOf, req.Datastore, func(ctx context.Context, datastore string) (types.AnyType, error) {
		if req.NewCapacityInMB <= 0 || req.NewCapacityInMB > ivd.MaxCapacity/mib {
			return nil, ivd.Errorf(ivd.Invalid, "capacity of %d MiB", req.NewCapacityInMB)
		}
		return nil, m.v.o.Estate.Extend(ctx, datastore, ivd.DiskID(req.Id.Id), req.NewCapacityInMB*mib)
	})
	return &methods.ExtendDisk_TaskBody{Res: &types.ExtendDisk_TaskResponse{Returnval: ref}}
}

// onDisk is a task on a datastore that must be there.
func (m *manager) onDisk(ctx *simulator.Context, name string, fault func(error) types.BaseMethodFault, datastore types.ManagedObjectReference, f func(context.Context, string) (types.AnyType, error)) types.ManagedObjectReference {
	return m.v.task(ctx, name, fault, func(ctx context.Context) (types.AnyType, error) {
		place, err := m.place(datastore)
		if err != nil {
			return nil, err
		}
		return f(ctx, place)
	})
}
