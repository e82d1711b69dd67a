package vcenter

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

// errStandalone is an ESXi host's answer to VDDK: methods are disabled by a vCenter only.
var errStandalone = ivd.Errorf(ivd.Unsupported, "a standalone ESXi host has no methods to disable: ask its vCenter")

// Prepare disables the relocation of all machines that a disk is attached to, for
// an identity; several may hold it. It stops at the first of those that refuse.
func (v *VCenter) Prepare(datastore string, a estate.Access, refusing []string) error {
	if v.o.ESX {
		return errStandalone
	}
	machines, err := v.o.Estate.Prepare(datastore, a, refusing)
	for _, name := range machines {
		v.showHolds(name)
	}
	return err
}

// End lifts what Prepare did. To repeat it does no harm.
func (v *VCenter) End(a estate.Access) error {
	if v.o.ESX {
		return errStandalone
	}
	machines, err := v.o.Estate.End(a)
	for _, name := range machines {
		v.showHolds(name)
	}
	return err
}

// showHolds makes a machine's property disabledMethod say what the estate knows.
func (v *VCenter) showHolds(name string) {
	v.showing.Lock()
	defer v.showing.Unlock()
	_, held := v.o.Estate.Held(name)
	v.withVM(name, func(call *simulator.Context, vm *simulator.VirtualMachine) {
		list := slices.DeleteFunc(slices.Clone(vm.DisabledMethod), func(m string) bool { return m == relocate })
		if held {
			list = append(list, relocate)
		}
		call.Update(vm, []types.PropertyChange{{Name: "disabledMethod", Val: list}})
	})
}

// observer keeps what the simulator does to machines: power, tracking, and
// snapshots, which are of their disks too.
type observer struct{ v *VCenter }

// Reference names the object to the simulator.
func (o *observer) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: own, Value: "observer"}
}

// PutObject is called when a machine's snapshot was made, within its task.
func (o *observer) PutObject(_ *simulator.Context, obj mo.Reference) {
	s, ok := obj.(*simulator.VirtualMachineSnapshot)
	name := ""
	if ok {
		name = o.v.machineName(s.Vm)
	}
	if name == "" {
		return
	}
	if err := o.v.o.Estate.SnapshotMachine(o.v.ctx, name, s.Self.Value); err != nil {
		o.v.o.Log.Error("a machine's snapshot lacks a disk", "machine", name, "err", err)
	}
}

// RemoveObject is called before a machine's snapshot is gone.
func (o *observer) RemoveObject(_ *simulator.Context, ref types.ManagedObjectReference) {
	if ref.Type != "VirtualMachineSnapshot" {
		return
	}
	if err := o.v.o.Estate.DeleteMachineSnapshots(o.v.ctx, ref.Value); err != nil {
		o.v.o.Log.Error("a machine's snapshot is gone, and that of a disk is not", "snapshot", ref.Value, "err", err)
	}
}

// UpdateObject is called with the object locked.
func (o *observer) UpdateObject(_ *simulator.Context, obj mo.Reference, _ []types.PropertyChange) {
	vm, ok := obj.(*mo.VirtualMachine)
	if !ok || vm.Config == nil {
		return
	}
	m := estate.Machine{Name: vm.Name, On: vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn}
	if t := vm.Config.ChangeTrackingEnabled; t != nil {
		m.Tracking = *t
	}
	if err := o.v.o.Estate.Observe(m); err != nil {
		o.v.o.Log.Error("cannot record what became of a machine", "machine", m.Name, "err", err)
	}
}
