// Package owner does what the owner of an estate does, through the vSphere API of a
// vCenter: make disks, register images, attach disks to virtual machines, look at
// snapshots and at disabled methods.
//
// The demo and the end-to-end tests use it beside ivdmover, so that what they check
// is what vCenter says and not what ivdmover says of itself. It knows nothing of
// the laboratory's insides and would work against a real vCenter.
package owner

import (
	"context"
	"fmt"
	"net/url"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vslm"

	"ivdmover/shared/ivd"
)

// Owner is a login of its own with a vCenter. It is safe for concurrent use.
type Owner struct {
	client     *govmomi.Client
	datacenter *object.Datacenter
	disks      *vslm.ObjectManager
}

// Connect logs in. The certificate must have the SHA-1 thumbprint.
func Connect(ctx context.Context, sdk, username, password, thumbprint string) (*Owner, error) {
	u, err := soap.ParseURL(sdk)
	if err != nil {
		return nil, err
	}
	sc := soap.NewClient(u, false)
	sc.SetThumbprint(u.Host, thumbprint)
	vc, err := vim25.NewClient(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", sdk, err)
	}
	c := &govmomi.Client{Client: vc, SessionManager: session.NewManager(vc)}
	if err := c.Login(ctx, url.UserPassword(username, password)); err != nil {
		return nil, fmt.Errorf("log in to %s: %w", sdk, err)
	}
	o := &Owner{client: c, disks: vslm.NewObjectManager(vc)}
	if o.datacenter, err = find.NewFinder(vc).DefaultDatacenter(ctx); err != nil {
		return nil, err
	}
	return o, nil
}

// finder is a new one, since none may be used by several at once.
func (o *Owner) finder() *find.Finder {
	return find.NewFinder(o.client.Client).SetDatacenter(o.datacenter)
}

// Close logs out.
func (o *Owner) Close(ctx context.Context) error {
	defer o.client.CloseIdleConnections()
	return o.client.Logout(ctx)
}

// Disk is an IVD as vSphere describes it.
type Disk struct {
	Ref           ivd.DiskRef
	Name          string
	Path          string // "[datastore1] fcd/x.vmdk"
	DatastoreName string
}

// Disks lists every IVD of every datastore.
func (o *Owner) Disks(ctx context.Context) ([]Disk, error) {
	stores, err := o.finder().DatastoreList(ctx, "*")
	if err != nil {
		return nil, err
	}
	var all []Disk
	for _, ds := range stores {
		ids, err := o.disks.List(ctx, ds)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			d, err := o.Disk(ctx, ivd.NewDiskRef("", ivd.DatastoreID(ds.Reference().Value), ivd.DiskID(id.Id)))
			if err != nil {
				return nil, err
			}
			d.DatastoreName = ds.Name()
			all = append(all, d)
		}
	}
	return all, nil
}

// Disk describes one.
func (o *Owner) Disk(ctx context.Context, ref ivd.DiskRef) (Disk, error) {
	v, err := o.disks.Retrieve(ctx, datastore(ref.Datastore()), string(ref.ID()))
	if err != nil {
		return Disk{}, fmt.Errorf("retrieve disk %s: %w", ref.ID(), err)
	}
	return describe(v), nil
}

// Create makes a thin IVD of whole MiB.
func (o *Owner) Create(ctx context.Context, datastoreName, name string, mib int64) (Disk, error) {
	ds, err := o.finder().Datastore(ctx, datastoreName)
	if err != nil {
		return Disk{}, err
	}
	backing := &types.VslmCreateSpecDiskFileBackingSpec{ProvisioningType: string(types.BaseConfigInfoDiskFileBackingInfoProvisioningTypeThin)}
	backing.Datastore = ds.Reference()
	task, err := o.disks.CreateDisk(ctx, types.VslmCreateSpec{Name: name, CapacityInMB: mib, BackingSpec: backing})
	if err != nil {
		return Disk{}, fmt.Errorf("create disk %s: %w", name, err)
	}
	info, err := task.WaitForResult(ctx)
	if err != nil {
		return Disk{}, fmt.Errorf("create disk %s: %w", name, err)
	}
	v := info.Result.(types.VStorageObject)
	return describe(&v), nil
}

// Register promotes a virtual disk, given by its path within the datastore.
func (o *Owner) Register(ctx context.Context, datastoreName, path, name string) (Disk, error) {
	ds, err := o.finder().Datastore(ctx, datastoreName)
	if err != nil {
		return Disk{}, err
	}
	v, err := o.disks.RegisterDisk(ctx, ds.NewURL(path).String(), name)
	if err != nil {
		return Disk{}, fmt.Errorf("register %s: %w", path, err)
	}
	return describe(v), nil
}

// Attach attaches an IVD to the virtual machine that is the n-th by name, from 0.
func (o *Owner) Attach(ctx context.Context, ref ivd.DiskRef, n int) error {
	vms, err := o.finder().VirtualMachineList(ctx, "*")
	if err != nil {
		return err
	}
	ds := object.NewDatastore(o.client.Client, datastore(ref.Datastore()))
	if err := vms[n].AttachDisk(ctx, string(ref.ID()), ds, 0, nil); err != nil {
		return fmt.Errorf("attach disk %s to %s: %w", ref.ID(), vms[n].Name(), err)
	}
	return nil
}

// Snapshots are all snapshots of a disk, by anybody.
func (o *Owner) Snapshots(ctx context.Context, ref ivd.DiskRef) ([]types.VStorageObjectSnapshotInfoVStorageObjectSnapshot, error) {
	info, err := o.disks.RetrieveSnapshotInfo(ctx, datastore(ref.Datastore()), string(ref.ID()))
	if err != nil {
		return nil, fmt.Errorf("snapshots of disk %s: %w", ref.ID(), err)
	}
	return info.Snapshots, nil
}

// Disabled are the methods that may not be called now, as "vm: method", of every
// virtual machine.
func (o *Owner) Disabled(ctx context.Context) ([]string, error) {
	vms, err := o.finder().VirtualMachineList(ctx, "*")
	if err != nil {
		return nil, err
	}
	var all []string
	for _, vm := range vms {
		var props mo.VirtualMachine
		if err := vm.Properties(ctx, vm.Reference(), []string{"disabledMethod"}, &props); err != nil {
			return nil, err
		}
		for _, m := range props.DisabledMethod {
			all = append(all, vm.Name()+": "+m)
		}
	}
	return all, nil
}

func datastore(id ivd.DatastoreID) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "Datastore", Value: string(id)}
}

func describe(v *types.VStorageObject) Disk {
	d := Disk{Name: v.Config.Name, Ref: ivd.NewDiskRef("", "", ivd.DiskID(v.Config.Id.Id))}
	if b, ok := v.Config.Backing.(types.BaseBaseConfigInfoFileBackingInfo); ok {
		f := b.GetBaseConfigInfoFileBackingInfo()
		d.Path, d.Ref = f.FilePath, d.Ref.On(ivd.DatastoreID(f.Datastore.Value))
	}
	return d
}
