package inventory

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// attach fills in whom the disks are attached to: the associations that vSphere
// knows; where it cannot say, the disk's consumers as retrieved.
func (v *VCenter) attach(ctx context.Context, disks []Disk) error {
	if len(disks) == 0 {
		return nil
	}
	if v.Standalone() { // a host has no associations
		return v.nameVMs(ctx, disks)
	}
	req := &types.RetrieveVStorageObjectAssociations{This: v.manager()}
	for _, d := range disks {
		req.Ids = append(req.Ids, types.RetrieveVStorageObjSpec{Id: types.ID{Id: string(d.Ref.ID())}, Datastore: datastoreRef(d.Ref.Datastore())})
	}
	res, err := methods.RetrieveVStorageObjectAssociations(ctx, v.client(), req)
	switch err := fail(ctx, "ask what the disks are attached to", err); ivd.KindOf(err) {
	case ivd.Unknown:
		if err != nil {
			return err
		}
		for _, a := range res.Returnval {
			i := slices.IndexFunc(disks, func(d Disk) bool { return string(d.Ref.ID()) == a.Id.Id })
			if i >= 0 && a.Fault == nil {
				disks[i].AttachedTo = nil
				for _, vm := range a.VmDiskAssociations {
					disks[i].AttachedTo = append(disks[i].AttachedTo, VM{ID: vm.VmId})
				}
			}
		}
	case ivd.Unsupported:
		v.log.Debug("vCenter does not tell associations", "err", err)
	default:
		return err
	}
	return v.nameVMs(ctx, disks)
}

// nameVMs puts names to the ids of virtual machines. vSphere uses managed object
// ids in some places and BIOS or instance UUIDs in others; an id that names no
// virtual machine stands for itself.
func (v *VCenter) nameVMs(ctx context.Context, disks []Disk) error {
	refs := map[string]types.ManagedObjectReference{} // by the id that vSphere used
	for _, d := range disks {
		for _, vm := range d.AttachedTo {
			if _, seen := refs[vm.ID]; seen {
				continue
			}
			ref, err := v.machine(ctx, vm.ID)
			if err != nil {
				return err
			}
			refs[vm.ID] = ref
		}
	}
	names, err := v.names(ctx, slices.Collect(maps.Values(refs)))
	if err != nil {
		return err
	}
	for _, d := range disks {
		for i, vm := range d.AttachedTo {
			ref := refs[vm.ID]
			d.AttachedTo[i] = VM{ID: cmp.Or(ref.Value, vm.ID), Name: cmp.Or(names[ref], vm.ID)}
		}
	}
	return nil
}

// machine is the virtual machine that vSphere calls by an id; the zero reference
// where a UUID is nobody's.
func (v *VCenter) machine(ctx context.Context, id string) (types.ManagedObjectReference, error) {
	if _, err := ivd.ParseDiskID(id); err != nil { // no UUID
		return types.ManagedObjectReference{Type: "VirtualMachine", Value: id}, nil
	}
	for _, instance := range []bool{false, true} {
		res, err := methods.FindByUuid(ctx, v.client(), &types.FindByUuid{
			This: *v.client().ServiceContent.SearchIndex, Uuid: id, VmSearch: true, InstanceUuid: &instance,
		})
		if err != nil {
			return types.ManagedObjectReference{}, fail(ctx, "find virtual machine "+id, err)
		}
		if res.Returnval != nil {
			return *res.Returnval, nil
		}
	}
	return types.ManagedObjectReference{}, nil
}

// names asks for the names of all at once. As one that is gone spoils that answer,
// they are then asked one by one.
func (v *VCenter) names(ctx context.Context, refs []types.ManagedObjectReference) (map[types.ManagedObjectReference]string, error) {
	refs = slices.DeleteFunc(refs, func(r types.ManagedObjectReference) bool { return r.Value == "" })
	names := map[types.ManagedObjectReference]string{}
	if len(refs) == 0 {
		return names, nil
	}
	var vms []mo.VirtualMachine
	err := fail(ctx, "ask for the names of virtual machines", property.DefaultCollector(v.client()).Retrieve(ctx, refs, []string{"name"}, &vms))
	switch {
	case ivd.KindOf(err) == ivd.NotFound && len(refs) == 1:
		return names, nil
	case ivd.KindOf(err) == ivd.NotFound:
		for _, ref := range refs {
			one, err := v.names(ctx, []types.ManagedObjectReference{ref})
			if err != nil {
				return nil, err
			}
			maps.Copy(names, one)
		}
		return names, nil
	case err != nil:
		return nil, err
	}
	for _, vm := range vms {
		names[vm.Self] = vm.Name
	}
	return names, nil
}
