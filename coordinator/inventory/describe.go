package inventory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// Description is all that vSphere tells of a disk, as it is now.
type Description struct {
	Disk
	Datastore      Datastore // its capacity and LUNs are left out
	BackingUUID    string    // of the disk's file, where it is known
	ControllerType string    // that it is attached to, as vSphere's types are named
	Attachments    []Attachment
}

// Attachment is a disk as a virtual machine's device. What cannot be found out of
// it is left empty.
type Attachment struct {
	VM         VM
	UUID       string // the machine's instance UUID
	Controller string // its type and its number on the bus: "ParaVirtualSCSIController 0"
	Unit       *int32
	Mode       string // "persistent", "independent_persistent", …
}

// Product is what a server says that it is.
type Product struct {
	Name, Version, Build string
}

// Product tells which program the vCenter or the host is.
func (v *VCenter) Product() Product {
	about := v.own.client.ServiceContent.About
	return Product{Name: about.Name, Version: about.Version, Build: about.Build}
}

// Describe asks for all that is known of a disk.
func (v *VCenter) Describe(ctx context.Context, ref ivd.DiskRef) (Description, error) {
	disk, err := v.Disk(ctx, ref)
	if err != nil {
		return Description{}, err
	}
	op := fmt.Sprintf("describe disk %s on %s", ref.ID(), disk.DatastoreName)
	out := Description{Disk: disk, BackingUUID: disk.backing}
	var store mo.Datastore
	if err := property.DefaultCollector(v.client()).RetrieveOne(ctx, datastoreRef(disk.Ref.Datastore()), []string{"summary"}, &store); err != nil {
		return Description{}, fail(ctx, op, err)
	}
	s := store.Summary
	out.Datastore = Datastore{ID: disk.Ref.Datastore(), Name: s.Name, Type: s.Type, URL: s.Url, Accessible: s.Accessible}
	for _, vm := range disk.AttachedTo {
		a, device, err := v.attachment(ctx, vm, disk.Ref.ID())
		if err != nil {
			return Description{}, fmt.Errorf("%s: %w", op, err)
		}
		out.Attachments = append(out.Attachments, a)
		if device.uuid != "" {
			out.BackingUUID = device.uuid
		}
		if device.controller != "" {
			out.ControllerType = device.controller
		}
	}
	return out, nil
}

// device is what a machine's device tells of its disk.
type device struct {
	uuid, controller string
}

// attachment looks for a disk among a machine's devices. A machine that is gone, or
// that vSphere does not show, is told of by what is known of it.
func (v *VCenter) attachment(ctx context.Context, vm VM, id ivd.DiskID) (Attachment, device, error) {
	a := Attachment{VM: vm}
	if !strings.HasPrefix(vm.ID, "vm-") && !v.Standalone() {
		return a, device{}, nil
	}
	ref := types.ManagedObjectReference{Type: "VirtualMachine", Value: vm.ID}
	var m mo.VirtualMachine
	err := property.DefaultCollector(v.client()).RetrieveOne(ctx, ref, []string{"name", "config"}, &m)
	if err = fail(ctx, "ask for the devices of virtual machine "+vm.Name, err); ivd.KindOf(err) == ivd.NotFound || err == nil && m.Config == nil {
		return a, device{}, nil
	}
	if err != nil {
		return a, device{}, err
	}
	a.UUID = m.Config.InstanceUuid
	devices := object.VirtualDeviceList(m.Config.Hardware.Device)
	i := slices.IndexFunc(devices, func(d types.BaseVirtualDevice) bool {
		disk, ok := d.(*types.VirtualDisk)
		return ok && disk.VDiskId != nil && disk.VDiskId.Id == string(id)
	})
	if i < 0 {
		return a, device{}, nil
	}
	disk := devices[i].(*types.VirtualDisk)
	var found device
	a.Unit = disk.UnitNumber
	a.Mode, found.uuid = backing(disk)
	if c, ok := devices.FindByKey(disk.ControllerKey).(types.BaseVirtualController); ok {
		found.controller = strings.TrimPrefix(fmt.Sprintf("%T", c), "*types.")
		a.Controller = fmt.Sprintf("%s %d", found.controller, c.GetVirtualController().BusNumber)
	}
	return a, found, nil
}

// backing is what each kind of backing has under the same names.
func backing(d *types.VirtualDisk) (mode, uuid string) {
	switch b := d.Backing.(type) {
	case *types.VirtualDiskFlatVer2BackingInfo:
		return b.DiskMode, b.Uuid
	case *types.VirtualDiskSeSparseBackingInfo:
		return b.DiskMode, b.Uuid
	case *types.VirtualDiskSparseVer2BackingInfo:
		return b.DiskMode, b.Uuid
	}
	return "", ""
}
