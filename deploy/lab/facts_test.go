package lab_test

import (
	"strings"
	"testing"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/script"
	"ivdmover/shared/ivd"
)

// What a choice of transports asks a vCenter for is there, over the API, and the
// same after a restart.
func TestFactsForTransports(t *testing.T) {
	for name, esx := range map[string]bool{"vCenter": false, "ESXi host": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Options{ESX: esx})
			plain, thick := w.create("datastore1", "plain", 1), w.createAs("datastore1", "thick", "eagerZeroedThick", "key-1")
			for range 2 {
				w.checkMachine()
				w.checkDatastore()
				w.checkDisk(plain, "thin", "")
				w.checkDisk(thick, "eagerZeroedThick", "key-1")
				w.stop()
				w.start()
			}
		})
	}
}

func (w *world) createAs(store, name, provisioning, key string) ivd.DiskID {
	w.t.Helper()
	spec := types.VslmCreateSpec{
		Name: name, CapacityInMB: 1, Crypto: &types.CryptoSpecEncrypt{CryptoKeyId: types.CryptoKeyId{KeyId: key}},
		BackingSpec: &types.VslmCreateSpecDiskFileBackingSpec{
			VslmCreateSpecBackingSpec: types.VslmCreateSpecBackingSpec{Datastore: w.ds[store]}, ProvisioningType: provisioning,
		},
	}
	task, err := w.m.CreateDisk(w.t.Context(), spec)
	return ivd.DiskID(w.do(task, err).(types.VStorageObject).Config.Id.Id)
}

func (w *world) checkMachine() {
	w.t.Helper()
	var vm mo.VirtualMachine
	must(w.t, w.vms["lab-vm-1"].Properties(w.t.Context(), w.vms["lab-vm-1"].Reference(), []string{"config.uuid", "config.instanceUuid", "config.hardware", "runtime.host"}, &vm))
	if vm.Config.Uuid != estate.BIOSUUID("lab-vm-1") || vm.Config.InstanceUuid != estate.InstanceUUID("lab-vm-1") {
		w.t.Errorf("BIOS UUID %s, instance UUID %s", vm.Config.Uuid, vm.Config.InstanceUuid)
	}
	controllers := 0
	for _, d := range vm.Config.Hardware.Device {
		if _, ok := d.(types.BaseVirtualSCSIController); ok {
			controllers++
		}
	}
	var host mo.HostSystem
	must(w.t, property.DefaultCollector(w.c.Client).RetrieveOne(w.t.Context(), *vm.Runtime.Host, []string{"datastore"}, &host))
	if controllers != 1 || len(host.Datastore) != 2 {
		w.t.Errorf("%d SCSI controllers on a host that sees %v", controllers, host.Datastore)
	}
}

func (w *world) checkDatastore() {
	w.t.Helper()
	var ds mo.Datastore
	must(w.t, property.DefaultCollector(w.c.Client).RetrieveOne(w.t.Context(), w.ds["datastore2"], []string{"summary", "info"}, &ds))
	info, ok := ds.Info.(*types.VmfsDatastoreInfo)
	if ds.Summary.Type != "VMFS" || !ok || len(info.Vmfs.Extent) != 1 || info.Vmfs.Extent[0].DiskName != estate.LUN("datastore2") || info.Name != "datastore2" {
		w.t.Errorf("%+v, %+v", ds.Summary, ds.Info)
	}
}

// What a datastore's summary says is free is what datastores.json says, and what is true once
// it was refreshed.
func TestSpaceOfADatastore(t *testing.T) {
	for name, esx := range map[string]bool{"vCenter": false, "ESXi host": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Options{ESX: esx})
			shown := int64(50)
			must(t, script.WriteSpaces(w.o.Dir, script.Space{Datastore: "datastore2", Capacity: 1000, Shown: &shown, Free: 400}))
			check := func(free int64) {
				t.Helper()
				var ds mo.Datastore
				must(t, property.DefaultCollector(w.c.Client).RetrieveOne(t.Context(), w.ds["datastore2"], []string{"summary", "info"}, &ds))
				if s := ds.Summary; s.Capacity != 1000 || s.FreeSpace != free || ds.Info.GetDatastoreInfo().FreeSpace != free {
					t.Errorf("%+v, %+v, want %d free", s, ds.Info, free)
				}
			}
			check(50)
			_, err := methods.RefreshDatastore(t.Context(), w.c.Client, &types.RefreshDatastore{This: w.ds["datastore2"]})
			must(t, err)
			check(400)
			// What cannot be so is passed over, and the rest counts.
			must(t, script.WriteSpaces(w.o.Dir, script.Space{Datastore: "none", Capacity: 1000}, script.Space{Datastore: "datastore2", Capacity: 10, Free: 400}))
			check(400)
			must(t, script.WriteSpaces(w.o.Dir, script.Space{Datastore: "none"}, script.Space{Datastore: "datastore2", Capacity: 1000, Free: 30}))
			check(30)
		})
	}
}

func (w *world) checkDisk(id ivd.DiskID, provisioning, key string) {
	w.t.Helper()
	b, ok := w.retrieve("datastore1", id).Backing.(*types.BaseConfigInfoDiskFileBackingInfo)
	if !ok || b.ProvisioningType != provisioning || (b.KeyId == nil) != (key == "") || key != "" && b.KeyId.KeyId != key {
		w.t.Errorf("disk %s: %+v", id, b)
	}
}

// A vCenter, its hosts, and a standalone host say the same version of themselves: one that
// has all calls that the laboratory answers.
func TestVersions(t *testing.T) {
	for name, esx := range map[string]bool{"vCenter": false, "ESXi host": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Options{ESX: esx})
			about := w.c.ServiceContent.About
			if about.Version != "8.0.2" || about.ApiVersion != "8.0.2.0" || !strings.Contains(about.FullName, " 8.0.2 build-"+about.Build) {
				t.Errorf("%+v", about)
			}
			var vm mo.VirtualMachine
			must(t, w.vms["lab-vm-1"].Properties(t.Context(), w.vms["lab-vm-1"].Reference(), []string{"runtime.host"}, &vm))
			var host mo.HostSystem
			must(t, property.DefaultCollector(w.c.Client).RetrieveOne(t.Context(), *vm.Runtime.Host, []string{"summary.config.product"}, &host))
			if p := host.Summary.Config.Product; p.Version != about.Version || p.ApiVersion != about.ApiVersion {
				t.Errorf("a host of %s says %s, API %s", about.FullName, p.FullName, p.ApiVersion)
			}
		})
	}
}
