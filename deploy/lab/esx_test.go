package lab_test

import (
	"testing"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab"
)

// A standalone ESXi host has its own manager, with its own names for the calls
// (VMware's notes on IVDs, 3), and neither changed areas nor snapshot details.
func TestHostAlone(t *testing.T) {
	w := newWorld(t, lab.Options{ESX: true, Disks: 2, DiskSize: 4 << 20})
	if w.c.IsVC() || w.c.ServiceContent.VStorageObjectManager.Type != "HostVStorageObjectManager" {
		t.Fatalf("%+v", w.c.ServiceContent.About)
	}
	ctx := t.Context()
	id := w.create("datastore2", "made here", 8)
	snapshot := w.snapshot("datastore2", id, "ours")
	info, err := w.m.RetrieveSnapshotInfo(ctx, w.ds["datastore2"], string(id))
	must(t, err)
	if len(info.Snapshots) != 1 || info.Snapshots[0].Id.Id != snapshot || info.Snapshots[0].Description != "ours" {
		t.Errorf("%+v", info.Snapshots)
	}
	if c := w.retrieve("datastore2", id); c.Name != "made here" || c.CapacityInMB != 8 {
		t.Errorf("%+v", c)
	}
	w.register("datastore1", "image", nil, 1<<20)
	list, err := w.m.List(ctx, w.ds["datastore1"])
	must(t, err)
	if len(list) != 2 {
		t.Errorf("datastore1 has %v", list)
	}
	task, err := w.m.DeleteSnapshot(ctx, w.ds["datastore2"], string(id), snapshot)
	w.do(task, err)
	task, err = w.m.Delete(ctx, w.ds["datastore2"], string(id))
	w.do(task, err)
	_, err = w.m.Retrieve(ctx, w.ds["datastore2"], string(id))
	wantFault(t, err, &types.NotFound{})

	// What only a vCenter has, a host does not know.
	_, err = methods.RetrieveSnapshotDetails(ctx, w.c.Client, &types.RetrieveSnapshotDetails{
		This: w.m.ManagedObjectReference, Id: types.ID{Id: string(id)}, Datastore: w.ds["datastore2"],
	})
	if err == nil {
		t.Error("a host told snapshot details")
	}
	if _, err = w.areas("datastore2", id, snapshot, "*", 0); err == nil {
		t.Error("a host told changed areas")
	}
}

// Disks that are attached stay so when the host starts again, and the same ids name
// the same machines and datastores.
func TestHostAloneStartsAgain(t *testing.T) {
	w := newWorld(t, lab.Options{ESX: true})
	id := w.create("datastore1", "disk", 4)
	w.attach("lab-vm-1", "datastore1", id)
	before := w.vms["lab-vm-1"].Reference()
	w.stop()
	w.start()
	if w.device("lab-vm-1", id) == nil || w.vms["lab-vm-1"].Reference() != before {
		t.Error("the disk is no device, or the machine another")
	}
	w.detach("lab-vm-1", id)
}

// VDDK's PrepareForAccess fails directly on an ESXi host.
func TestHostAloneCannotPrepare(t *testing.T) {
	w := newWorld(t, lab.Options{ESX: true})
	id := w.create("datastore1", "disk", 4)
	for op, number := range map[string]uint16{"prepare": 7, "end": 8} {
		m, err := ticket(w.ready, w.question("datastore1", id, "", op))
		must(t, err)
		p, err := dial(m)
		must(t, err)
		_, err = p.call(number, 0, 0, []byte("ticket="+m["ticket"]+"\nidentity=me\n"))
		wantCode(t, err, 6) // VIX_E_NOT_SUPPORTED
		must(t, p.c.Close())
	}
	if left := w.lab.Report().Disabled; len(left) != 0 {
		t.Errorf("%+v", left)
	}
}
