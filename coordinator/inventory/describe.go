package inventory

import (
	"cmp"
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
	Disk                     // Metadata is without what Volume says and what is our own
	Datastore      Datastore // its capacity and LUNs are left out
	BackingUUID    string    // of the disk's file, where it is known
	ControllerType string    // that it is attached to, as vSphere's types are named
	Attachments    []Attachment
	Tags           []Tag
	Policy         *Policy  // nil: none, or it was not told
	Volume         *Volume  // nil: it is no container's
	Untold         []Untold // what could not be asked for; the rest holds all the same
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

// Describe asks for all that is known of a disk. That takes a call for each of: the
// name of its datastore, the disk, its machines, their names, the datastore, each
// machine's devices; in a vCenter also its tags, its storage policy, the policy's
// name where that was not asked for lately, and the labels of a container's volume.
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
	unsure := disk.Unsure
	for _, vm := range disk.AttachedTo {
		a, device, err := v.attachment(ctx, vm, disk.Ref.ID())
		if ctx.Err() != nil {
			return Description{}, fmt.Errorf("%s: %w", op, err)
		}
		unsure = cmp.Or(unsure, err)
		out.Attachments = append(out.Attachments, a)
		if device.uuid != "" {
			out.BackingUUID = device.uuid
		}
		if device.controller != "" {
			out.ControllerType = device.controller
		}
	}
	if unsure != nil {
		out.Untold = append(out.Untold, Untold{AttachmentFacts, unsure})
	}
	out.Volume, out.Metadata = volumeOf(disk.Metadata)
	return out, fail(ctx, op, v.askAside(ctx, &out))
}

// askAside adds what services beside the disks' own manager tell, as far as they do.
// A standalone host has none of them.
func (v *VCenter) askAside(ctx context.Context, d *Description) error {
	if v.Standalone() {
		return nil
	}
	id := d.Ref.ID()
	v.askFor(ctx, d, TagFacts, func(ctx context.Context) (err error) {
		d.Tags, err = v.tags(ctx, id)
		return err
	})
	v.askFor(ctx, d, PolicyFacts, func(ctx context.Context) (err error) {
		d.Policy, err = v.policies.of(ctx, id)
		return err
	})
	if d.Volume != nil {
		v.askFor(ctx, d, LabelFacts, func(ctx context.Context) error { return v.containers.tell(ctx, id, d.Volume) })
	}
	return context.Cause(ctx)
}

func (v *VCenter) askFor(ctx context.Context, d *Description, fact Fact, f func(context.Context) error) {
	if err := v.aside.ask(ctx, fact, f); err != nil {
		d.Untold = append(d.Untold, Untold{fact, err})
	}
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
