package vcenter

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// relocate is the method that backups disable.
const relocate = "RelocateVM_Task"

// own is the type of this package's objects as the simulator sees them. A call is
// sent to one by changing whom it is for: the simulator prefers its own object
// wherever it knows one.
const own = "Laboratory"

// route is the registry's handler: it is asked before each call.
func (v *VCenter) route(ctx *simulator.Context, m *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	switch m.Name {
	case "LoginByToken", "LoginExtensionByCertificate":
		// The simulator would let anybody in.
		return nil, &types.InvalidLogin{}
	}
	if ctx.Session == nil {
		return nil, nil
	}
	if fault := v.refusal(m); fault != nil {
		return nil, fault
	}
	v.heedSpaces()
	switch m.This.Type {
	case "VcenterVStorageObjectManager":
		return reroute(m, &manager{v: v}), nil
	case "HostVStorageObjectManager":
		return reroute(m, &host{m: &manager{v: v}}), nil
	case "Datastore":
		if name, ok := v.Datastore(m.This.Value); ok && m.Name == "RefreshDatastore" {
			return reroute(m, &datastore{v: v, name: name}), nil
		}
	case "VirtualMachine":
		name := v.machineName(m.This)
		if name != "" && (m.Name == "Destroy_Task" || m.Name == "UnregisterVM") {
			return nil, &types.NotSupported{} // the laboratory's own machines stay
		}
		if id, held := v.o.Estate.Held(name); held && m.Name == relocate {
			return nil, &types.MethodDisabled{Source: id}
		}
		if name != "" && aboutDisks(m) {
			return reroute(m, &machine{v: v, name: name}), nil
		}
	}
	return nil, nil
}

func reroute(m *simulator.Method, to mo.Reference) mo.Reference {
	m.This = to.Reference()
	return to
}

// aboutDisks tells the calls that attach and detach: the two that are made for it,
// and a reconfiguration that names a virtual storage object.
func aboutDisks(m *simulator.Method) bool {
	switch m.Name {
	case "AttachDisk_Task", "DetachDisk_Task":
		return true
	case "ReconfigVM_Task":
		req, ok := m.Body.(*types.ReconfigVM_Task)
		if !ok {
			return false
		}
		for _, c := range req.Spec.DeviceChange {
			if d, ok := c.GetVirtualDeviceConfigSpec().Device.(*types.VirtualDisk); ok && d.VDiskId != nil {
				return true
			}
		}
	}
	return false
}

func (v *VCenter) machineName(ref types.ManagedObjectReference) string {
	for name, r := range v.machines {
		if r == ref {
			return name
		}
	}
	return ""
}

// unlocked takes an object out of the simulator's own locking: calls on it may
// run at once, and the estate does the rest.
type unlocked struct{}

// Lock does nothing.
func (unlocked) Lock() {}

// Unlock does nothing.
func (unlocked) Unlock() {}
