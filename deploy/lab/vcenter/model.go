package vcenter

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/simulator/vpx"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab/estate"
)

// vcenterBuild is that of vCenter Server 8.0.2, which the simulator's hosts are of.
const vcenterBuild = "22385739"

// oldAPI is the last version of the API before disks' metadata (7.0.2.0).
const oldAPI = "7.0.1.1"

// building: the simulator keeps licences in a variable that all inventories share,
// and touches it while hosts are added.
var building sync.Mutex

// build makes the inventory: one datacenter, a cluster of two hosts or one host
// alone, the estate's datastores on each, its machines. Everything is made in the
// same order at each start, since managed object ids are counted.
func (v *VCenter) build(ctx context.Context) error {
	building.Lock()
	defer building.Unlock()
	m := &simulator.Model{ServiceContent: vpx.ServiceContent, RootFolder: vpx.RootFolder, Datacenter: 1, Cluster: 1, ClusterHost: 2}
	if v.o.ESX {
		m = &simulator.Model{ServiceContent: esx.ServiceContent, RootFolder: esx.RootFolder}
	}
	sim, instance := simulator.NewServiceInstance(simulator.NewContext(), m.ServiceContent, m.RootFolder)
	instance.Content.About = v.about(m.ServiceContent.About)
	m.Service = simulator.New(sim, instance)
	if err := m.CreateInfrastructure(sim); err != nil {
		return err
	}
	v.service, v.reg = m.Service, sim.Map
	client, err := vim25.NewClient(ctx, v.service)
	if err != nil {
		return err
	}
	finder := find.NewFinder(client)
	dc, err := finder.DefaultDatacenter(ctx)
	if err != nil {
		return err
	}
	finder.SetDatacenter(dc)
	if err := v.mount(ctx, finder); err != nil {
		return err
	}
	if err := v.makeMachines(ctx, finder, dc); err != nil {
		return err
	}
	// Machines' snapshots end with the process.
	if err := v.o.Estate.DeleteMachineSnapshots(ctx); err != nil {
		return err
	}
	v.reg.AddHandler(&observer{v: v})
	return v.attachAll()
}

// about is what a server of the hosts' own version says of itself, where the
// simulator's templates are of several.
func (v *VCenter) about(a types.AboutInfo) types.AboutInfo {
	host := esx.HostConfigInfo.Product
	if v.o.Old {
		host.ApiVersion = oldAPI
	}
	if v.o.ESX {
		return host
	}
	a.Version, a.ApiVersion, a.LicenseProductVersion = host.Version, host.ApiVersion, host.LicenseProductVersion
	a.Build = vcenterBuild
	a.FullName = a.Name + " " + a.Version + " build-" + a.Build
	a.InstanceUuid = v.o.Estate.Instance() // hosts have none
	return a
}

func (v *VCenter) mount(ctx context.Context, finder *find.Finder) error {
	hosts, err := finder.HostSystemList(ctx, "*")
	if err != nil {
		return err
	}
	for _, h := range hosts {
		v.identify(h)
	}
	for _, name := range v.o.Estate.Datastores() {
		dir, err := filepath.Abs(v.o.Estate.Folder(name))
		if err != nil {
			return err
		}
		for _, h := range hosts {
			system, err := h.ConfigManager().DatastoreSystem(ctx)
			if err != nil {
				return err
			}
			ds, err := system.CreateLocalDatastore(ctx, name, dir)
			if err != nil {
				// A second host reports the datastore of the first.
				return fmt.Errorf("mount %s on %s: %w", name, h.Name(), err)
			}
			if v.datastores[name].Value == "" {
				v.datastores[name] = ds.Reference()
			}
		}
		ref, err := finder.Datastore(ctx, name)
		if err != nil {
			return err
		}
		v.datastores[name] = ref.Reference()
		v.format(name, dir)
	}
	return nil
}

// identify gives a host a hardware UUID that outlives a restart, as hardware's does;
// the simulator makes a new one each time.
func (v *VCenter) identify(h *object.HostSystem) {
	host, ok := v.reg.Get(h.Reference()).(*simulator.HostSystem)
	if !ok {
		return
	}
	id := uuid.NewSHA1(uuid.Nil, []byte(v.o.Estate.Instance()+" "+h.Name())).String()
	hardware := *host.Hardware // shared with the simulator's template
	hardware.SystemInfo.Uuid = id
	host.Hardware = &hardware
	if host.Summary.Hardware != nil {
		summary := *host.Summary.Hardware
		summary.Uuid = id
		host.Summary.Hardware = &summary
	}
}

// format makes a datastore one of VMFS on a LUN of its own, where the simulator's is
// a folder and says so.
func (v *VCenter) format(name, dir string) {
	ds, ok := v.reg.Get(v.datastores[name]).(*simulator.Datastore)
	if !ok {
		return
	}
	const vmfs = string(types.HostFileSystemVolumeFileSystemTypeVMFS)
	ds.Summary.Type = vmfs
	info := *ds.Info.GetDatastoreInfo()
	info.Url = dir // as in the summary: the simulator looks for its files there
	ds.Info = &types.VmfsDatastoreInfo{
		DatastoreInfo: info,
		Vmfs: &types.HostVmfsVolume{
			HostFileSystemVolume: types.HostFileSystemVolume{Type: vmfs, Name: name, Capacity: ds.Summary.Capacity},
			BlockSizeMb:          1, MajorVersion: 6, Version: "6.82",
			Extent: []types.HostScsiDiskPartition{{DiskName: estate.LUN(name), Partition: 1}},
		},
	}
}

func (v *VCenter) makeMachines(ctx context.Context, finder *find.Finder, dc *object.Datacenter) error {
	folders, err := dc.Folders(ctx)
	if err != nil {
		return err
	}
	pool, err := finder.DefaultResourcePool(ctx)
	if err != nil {
		return err
	}
	home := v.o.Estate.Datastores()[0]
	for _, m := range v.o.Estate.Machines() {
		// The simulator's own files of the last start.
		if err := os.RemoveAll(filepath.Join(v.o.Estate.Folder(home), m.Name)); err != nil {
			return err
		}
		ref, err := makeMachine(ctx, folders.VmFolder, pool, home, m)
		if err != nil {
			return fmt.Errorf("make machine %s: %w", m.Name, err)
		}
		v.machines[m.Name] = ref.Reference()
	}
	// Once all have their ids: whether a task takes a number of its own is for
	// each start to say.
	for _, m := range v.o.Estate.Machines() {
		if !m.On {
			continue
		}
		task, err := object.NewVirtualMachine(pool.Client(), v.machines[m.Name]).PowerOn(ctx)
		if err != nil {
			return err
		}
		if err := task.Wait(ctx); err != nil {
			return fmt.Errorf("power machine %s on: %w", m.Name, err)
		}
	}
	return nil
}

func makeMachine(ctx context.Context, folder *object.Folder, pool *object.ResourcePool, home string, m estate.Machine) (*object.VirtualMachine, error) {
	var devices object.VirtualDeviceList
	scsi, err := devices.CreateSCSIController("pvscsi")
	if err != nil {
		return nil, err
	}
	spec := types.VirtualMachineConfigSpec{
		Name: m.Name, GuestId: string(types.VirtualMachineGuestOsIdentifierOtherGuest),
		Files:                 &types.VirtualMachineFileInfo{VmPathName: "[" + home + "]"},
		ChangeTrackingEnabled: types.NewBool(m.Tracking),
		Uuid:                  estate.BIOSUUID(m.Name), InstanceUuid: estate.InstanceUUID(m.Name),
	}
	if spec.DeviceChange, err = append(devices, scsi).ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd); err != nil {
		return nil, err
	}
	task, err := folder.CreateVM(ctx, spec, pool, nil)
	if err != nil {
		return nil, err
	}
	info, err := task.WaitForResult(ctx)
	if err != nil {
		return nil, err
	}
	return object.NewVirtualMachine(folder.Client(), info.Result.(types.ManagedObjectReference)), nil
}

func (v *VCenter) attachAll() error {
	for name := range v.machines {
		v.showHolds(name)
	}
	for _, d := range v.o.Estate.All() {
		for _, a := range d.Attached {
			if _, ok := v.machines[a.Machine]; ok {
				v.addDevice(d, a)
			}
		}
	}
	return nil
}
