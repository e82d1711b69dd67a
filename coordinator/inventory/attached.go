package inventory

import (
	"context"
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
	req := &types.RetrieveVStorageObjectAssociations{This: v.manager()}
	for _, d := range disks {
		req.Ids = append(req.Ids, types.RetrieveVStorageObjSpec{Id: types.ID{Id: string(d.Ref.Disk)}, Datastore: datastoreRef(d.Ref.Datastore)})
	}
	res, err := methods.RetrieveVStorageObjectAssociations(ctx, v.client(), req)
	switch err := fail(ctx, "ask what the disks are attached to", err); ivd.KindOf(err) {
	case ivd.Unknown:
		if err != nil {
			return err
		}
		for _, a := range res.Returnval {
			i := slices.IndexFunc(disks, func(d Disk) bool { return string(d.Ref.Disk) == a.Id.Id })
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
	known := map[string]VM{}
	for _, d := range disks {
		for i, vm := range d.AttachedTo {
			named, ok := known[vm.ID]
			if !ok {
				var err error
				if named, err = v.nameVM(ctx, vm.ID); err != nil {
					return err
				}
				known[vm.ID] = named
			}
			d.AttachedTo[i] = named
		}
	}
	return nil
}

func (v *VCenter) nameVM(ctx context.Context, id string) (VM, error) {
	ref := &types.ManagedObjectReference{Type: "VirtualMachine", Value: id}
	if _, err := ivd.ParseDiskID(id); err == nil { // a UUID
		ref = nil
		for _, instance := range []bool{false, true} {
			res, err := methods.FindByUuid(ctx, v.client(), &types.FindByUuid{
				This: *v.client().ServiceContent.SearchIndex, Uuid: id, VmSearch: true, InstanceUuid: &instance,
			})
			if err != nil {
				return VM{}, fail(ctx, "find virtual machine "+id, err)
			}
			if res.Returnval != nil {
				ref = res.Returnval
				break
			}
		}
		if ref == nil {
			return VM{ID: id, Name: id}, nil
		}
	}
	var vm mo.VirtualMachine
	err := fail(ctx, "ask for the name of virtual machine "+ref.Value, property.DefaultCollector(v.client()).RetrieveOne(ctx, *ref, []string{"name"}, &vm))
	switch {
	case ivd.KindOf(err) == ivd.NotFound:
		return VM{ID: ref.Value, Name: id}, nil
	case err != nil:
		return VM{}, err
	}
	return VM{ID: ref.Value, Name: vm.Name}, nil
}
