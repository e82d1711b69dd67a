package vcenter

import (
	"context"
	"slices"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

// machine answers a VirtualMachine's calls about disks.
type machine struct {
	unlocked
	v    *VCenter
	name string
}

// Reference names the object to the simulator.
func (m *machine) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: own, Value: m.name}
}

// AttachDiskTask makes a disk a device of the machine, its writes kept.
func (m *machine) AttachDiskTask(ctx *simulator.Context, req *types.AttachDisk_Task) soap.HasFault {
	ref := m.v.task(ctx, "attachDisk", faultOf, func(ctx context.Context) (types.AnyType, error) {
		name, ok := m.v.Datastore(req.Datastore.Value)
		if !ok {
			return nil, &badDatastore{req.Datastore}
		}
		return nil, m.attach(ctx, name, ivd.DiskID(req.DiskId.Id), estate.Attachment{
			Controller: req.ControllerKey, Unit: unit(req.UnitNumber), Mode: string(types.VirtualDiskModePersistent),
		})
	})
	return &methods.AttachDisk_TaskBody{Res: &types.AttachDisk_TaskResponse{Returnval: ref}}
}

// DetachDiskTask takes a disk from the machine.
func (m *machine) DetachDiskTask(ctx *simulator.Context, req *types.DetachDisk_Task) soap.HasFault {
	ref := m.v.task(ctx, "detachDisk", faultOf, func(ctx context.Context) (types.AnyType, error) {
		return nil, m.detach(ctx, ivd.DiskID(req.DiskId.Id))
	})
	return &methods.DetachDisk_TaskBody{Res: &types.DetachDisk_TaskResponse{Returnval: ref}}
}

// ReconfigVMTask attaches and detaches disks by their devices, in any disk mode.
// Nothing else may be changed in the same call.
func (m *machine) ReconfigVMTask(ctx *simulator.Context, req *types.ReconfigVM_Task) soap.HasFault {
	ref := m.v.task(ctx, "reconfigVm", faultOf, func(ctx context.Context) (types.AnyType, error) {
		for _, c := range req.Spec.DeviceChange {
			if err := m.reconfigure(ctx, c.GetVirtualDeviceConfigSpec()); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	return &methods.ReconfigVM_TaskBody{Res: &types.ReconfigVM_TaskResponse{Returnval: ref}}
}

func (m *machine) reconfigure(ctx context.Context, c *types.VirtualDeviceConfigSpec) error {
	dev, ok := c.Device.(*types.VirtualDisk)
	if !ok || dev.VDiskId == nil {
		return ivd.Errorf(ivd.Unsupported, "a %T in the same reconfiguration as a virtual storage object", c.Device)
	}
	id := ivd.DiskID(dev.VDiskId.Id)
	switch c.Operation {
	case types.VirtualDeviceConfigSpecOperationRemove:
		return m.detach(ctx, id)
	case types.VirtualDeviceConfigSpecOperationAdd:
		d, err := m.v.o.Estate.Search(id)
		if err != nil {
			return err
		}
		return m.attach(ctx, d.Datastore, id, estate.Attachment{
			Controller: dev.ControllerKey, Unit: unit(dev.UnitNumber), Mode: diskMode(dev),
		})
	}
	return ivd.Errorf(ivd.Unsupported, "operation %q on a virtual storage object", c.Operation)
}

// diskMode is found in each backing that has one.
func diskMode(dev *types.VirtualDisk) string {
	mode := ""
	switch b := dev.Backing.(type) {
	case *types.VirtualDiskFlatVer2BackingInfo:
		mode = b.DiskMode
	case *types.VirtualDiskSeSparseBackingInfo:
		mode = b.DiskMode
	case *types.VirtualDiskSparseVer2BackingInfo:
		mode = b.DiskMode
	case *types.VirtualDiskRawDiskMappingVer1BackingInfo:
		mode = b.DiskMode
	}
	if mode == "" {
		return string(types.VirtualDiskModePersistent)
	}
	return mode
}

func unit(n *int32) int32 {
	if n == nil {
		return -1
	}
	return *n
}

func (m *machine) attach(ctx context.Context, datastore string, id ivd.DiskID, a estate.Attachment) error {
	a.Machine = m.name
	m.v.placing.Lock()
	defer m.v.placing.Unlock()
	if err := m.v.slot(&a); err != nil {
		return err
	}
	if err := m.v.o.Estate.Attach(ctx, datastore, id, a); err != nil {
		return err
	}
	d, err := m.v.o.Estate.Disk(datastore, id)
	if err != nil {
		return err
	}
	m.v.addDevice(d, a)
	return nil
}

func (m *machine) detach(ctx context.Context, id ivd.DiskID) error {
	if err := m.v.o.Estate.Detach(ctx, id, m.name); err != nil {
		return err
	}
	m.v.removeDevice(m.name, id)
	return nil
}

// slot chooses a controller, a unit and a key that are free.
func (v *VCenter) slot(a *estate.Attachment) error {
	devices := v.devices(a.Machine)
	if a.Controller == 0 {
		free := devices.PickController((*types.VirtualSCSIController)(nil))
		if free == nil {
			return ivd.Errorf(ivd.Invalid, "machine %s has no controller with a free unit", a.Machine)
		}
		a.Controller = free.GetVirtualController().Key
	}
	if _, ok := devices.FindByKey(a.Controller).(types.BaseVirtualController); !ok {
		return ivd.Errorf(ivd.Invalid, "machine %s has no controller %d", a.Machine, a.Controller)
	}
	taken := map[int32]bool{7: true} // the controller's own
	for _, d := range devices {
		if x := d.GetVirtualDevice(); x.ControllerKey == a.Controller && x.UnitNumber != nil {
			taken[*x.UnitNumber] = true
		}
	}
	if a.Unit >= 0 && taken[a.Unit] {
		return ivd.Errorf(ivd.Invalid, "unit %d of controller %d is taken", a.Unit, a.Controller)
	}
	for n := int32(0); a.Unit < 0; n++ {
		if !taken[n] {
			a.Unit = n
		}
	}
	for a.Key = 2000; devices.FindByKey(a.Key) != nil; a.Key++ {
	}
	return nil
}

func (v *VCenter) devices(name string) object.VirtualDeviceList {
	var list object.VirtualDeviceList
	v.withVM(name, func(_ *simulator.Context, vm *simulator.VirtualMachine) {
		list = slices.Clone(vm.Config.Hardware.Device)
	})
	return list
}

// withVM calls f with a machine's simulated VM locked, where there is one.
func (v *VCenter) withVM(name string, f func(*simulator.Context, *simulator.VirtualMachine)) {
	vm, ok := v.reg.Get(v.machines[name]).(*simulator.VirtualMachine)
	if !ok {
		return
	}
	call := v.call()
	call.WithLock(vm, func() { f(call, vm) })
}

func (v *VCenter) addDevice(d estate.Disk, a estate.Attachment) {
	v.setDevices(a.Machine, func(list []types.BaseVirtualDevice) []types.BaseVirtualDevice {
		return append(list, v.deviceOf(d, a))
	})
}

func (v *VCenter) removeDevice(name string, id ivd.DiskID) {
	v.setDevices(name, func(list []types.BaseVirtualDevice) []types.BaseVirtualDevice {
		return slices.DeleteFunc(list, func(x types.BaseVirtualDevice) bool {
			dev, ok := x.(*types.VirtualDisk)
			return ok && dev.VDiskId != nil && dev.VDiskId.Id == string(id)
		})
	})
}

func (v *VCenter) setDevices(name string, f func([]types.BaseVirtualDevice) []types.BaseVirtualDevice) {
	v.withVM(name, func(call *simulator.Context, vm *simulator.VirtualMachine) {
		list := f(slices.Clone(vm.Config.Hardware.Device))
		call.Update(vm, []types.PropertyChange{{Name: "config.hardware.device", Val: list}})
	})
}
