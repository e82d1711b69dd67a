package inventory

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// attach fills in whom the disks are attached to: the associations that vSphere
// knows; where it cannot say, the disk's consumers as retrieved. What it does not tell
// makes disks unsure, and keeps none from being listed.
func (v *VCenter) attach(ctx context.Context, disks []Disk) {
	if len(disks) == 0 {
		return
	}
	if !v.Standalone() { // a host has no associations
		v.associate(ctx, disks)
	}
	v.nameVMs(ctx, disks)
}

// associate puts the associations that vSphere knows in the place of consumers.
func (v *VCenter) associate(ctx context.Context, disks []Disk) {
	const op = "ask what the disks are attached to"
	req := &types.RetrieveVStorageObjectAssociations{This: v.manager()}
	for _, d := range disks {
		req.Ids = append(req.Ids, types.RetrieveVStorageObjSpec{Id: types.ID{Id: string(d.Ref.ID())}, Datastore: datastoreRef(d.Ref.Datastore())})
	}
	var res *types.RetrieveVStorageObjectAssociationsResponse
	err := v.readAgain.Do(ctx, func(ctx context.Context) (err error) {
		res, err = methods.RetrieveVStorageObjectAssociations(ctx, v.client(), req)
		return fail(ctx, op, err)
	})
	if ivd.KindOf(err) == ivd.Unsupported {
		v.log.Debug("vCenter does not tell associations", "err", err)
		return
	}
	if err != nil {
		for i := range disks {
			disks[i].Unsure = err
		}
		return
	}
	for _, a := range res.Returnval {
		i := slices.IndexFunc(disks, func(d Disk) bool { return string(d.Ref.ID()) == a.Id.Id })
		if i < 0 {
			continue
		}
		if a.Fault != nil {
			disks[i].Unsure = faultError(op, errors.New(a.Fault.LocalizedMessage), value(a.Fault.Fault), nil)
			continue // its consumers are better than nothing
		}
		disks[i].AttachedTo = nil
		for _, vm := range a.VmDiskAssociations {
			disks[i].AttachedTo = append(disks[i].AttachedTo, VM{ID: vm.VmId})
		}
	}
}

// nameVMs puts names to the ids of virtual machines. vSphere uses managed object
// ids in some places and BIOS or instance UUIDs in others; an id that names no
// virtual machine stands for itself, and so does one whose machine is not told.
func (v *VCenter) nameVMs(ctx context.Context, disks []Disk) {
	refs := map[string]types.ManagedObjectReference{} // by the id that vSphere used
	untold := map[string]error{}                      // by the same
	for _, d := range disks {
		for _, vm := range d.AttachedTo {
			if _, seen := refs[vm.ID]; seen {
				continue
			}
			ref, err := v.machine(ctx, vm.ID)
			if err != nil {
				untold[vm.ID] = err
			}
			refs[vm.ID] = ref
		}
	}
	told, sick := v.told(ctx, slices.Collect(maps.Values(refs)))
	for i, d := range disks {
		hosts := map[ivd.HostID]bool{}
		for j, vm := range d.AttachedTo {
			ref := refs[vm.ID]
			disks[i].Unsure = cmp.Or(disks[i].Unsure, untold[vm.ID], sick[ref])
			d.AttachedTo[j] = VM{ID: cmp.Or(ref.Value, vm.ID), Name: cmp.Or(told[ref].Name, vm.ID)}
			hosts[hostOf(told[ref])] = true
		}
		if len(hosts) == 1 {
			disks[i].Host = slices.Collect(maps.Keys(hosts))[0]
		}
	}
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

// hostOf is the host that a machine is on, as far as that is told.
func hostOf(vm mo.VirtualMachine) ivd.HostID {
	if vm.Runtime.Host == nil {
		return ""
	}
	return ivd.HostID(vm.Runtime.Host.Value)
}

// told asks for the names of machines, and which hosts they are on. Those that are gone
// have none.
func (v *VCenter) told(ctx context.Context, refs []types.ManagedObjectReference) (told map[types.ManagedObjectReference]mo.VirtualMachine, sick map[types.ManagedObjectReference]error) {
	refs = slices.DeleteFunc(refs, func(r types.ManagedObjectReference) bool { return r.Value == "" })
	told = map[types.ManagedObjectReference]mo.VirtualMachine{}
	vms, sick, err := each[mo.VirtualMachine](ctx, v, "ask for the names of virtual machines", refs, []string{"name", "runtime.host"})
	if err != nil {
		sick = map[types.ManagedObjectReference]error{}
		for _, ref := range refs {
			sick[ref] = err
		}
	}
	for _, vm := range vms {
		told[vm.Self] = vm
	}
	return told, sick
}
