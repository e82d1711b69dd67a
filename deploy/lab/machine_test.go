package lab_test

import (
	"slices"
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
)

func (w *world) attachTask(vm, store string, id ivd.DiskID) (*object.Task, error) {
	res, err := methods.AttachDisk_Task(w.t.Context(), w.c.Client, &types.AttachDisk_Task{
		This: w.vms[vm].Reference(), DiskId: types.ID{Id: string(id)}, Datastore: w.ds[store],
	})
	if err != nil {
		return nil, err
	}
	return object.NewTask(w.c.Client, res.Returnval), nil
}

func (w *world) attach(vm, store string, id ivd.DiskID) {
	w.t.Helper()
	w.do(w.attachTask(vm, store, id))
}

func (w *world) detach(vm string, id ivd.DiskID) {
	w.t.Helper()
	res, err := methods.DetachDisk_Task(w.t.Context(), w.c.Client, &types.DetachDisk_Task{
		This: w.vms[vm].Reference(), DiskId: types.ID{Id: string(id)},
	})
	must(w.t, err)
	w.do(object.NewTask(w.c.Client, res.Returnval), nil)
}

// device finds a disk in a machine's configuration.
func (w *world) device(vm string, id ivd.DiskID) *types.VirtualDisk {
	w.t.Helper()
	list, err := w.vms[vm].Device(w.t.Context())
	must(w.t, err)
	for _, d := range list {
		if x, ok := d.(*types.VirtualDisk); ok && x.VDiskId != nil && x.VDiskId.Id == string(id) {
			return x
		}
	}
	return nil
}

func (w *world) disabled(vm string) bool {
	w.t.Helper()
	var m mo.VirtualMachine
	must(w.t, w.vms[vm].Properties(w.t.Context(), w.vms[vm].Reference(), []string{"disabledMethod"}, &m))
	return slices.Contains(m.DisabledMethod, "RelocateVM_Task")
}

func TestAttachedDisks(t *testing.T) {
	w := newWorld(t, lab.Options{})
	ctx := t.Context()
	const store = "datastore1"
	id := w.create(store, "a", 4)
	w.attach("lab-vm-1", store, id)
	w.attach("lab-vm-3", store, id)
	if d := w.device("lab-vm-1", id); d == nil || d.CapacityInBytes != 4<<20 {
		t.Fatalf("the device is %+v", d)
	}
	res, err := methods.RetrieveVStorageObjectAssociations(ctx, w.c.Client, &types.RetrieveVStorageObjectAssociations{
		This: w.m.ManagedObjectReference,
		Ids:  []types.RetrieveVStorageObjSpec{{Id: types.ID{Id: string(id)}, Datastore: w.ds[store]}},
	})
	must(t, err)
	if a := res.Returnval[0].VmDiskAssociations; len(a) != 2 || a[0].VmId != w.vms["lab-vm-1"].Reference().Value {
		t.Fatalf("associations %+v", res.Returnval)
	}
	if n := len(w.retrieve(store, id).ConsumerId); n != 2 {
		t.Fatalf("%d consumers", n)
	}
	task, err := w.attachTask("lab-vm-1", store, id)
	w.fails(&types.InvalidState{}, task, err)
	task, err = w.m.Delete(ctx, w.ds[store], string(id))
	w.fails(&types.InvalidState{}, task, err)

	// What a running machine holds is opened through a snapshot only.
	_, _, err = open(w.ready, w.question(store, id, "", "open"))
	wantCode(t, err, 13)
	snapshot := w.snapshot(store, id, "now")
	w.read(store, id, snapshot)

	task, err = w.vms["lab-vm-1"].Destroy(ctx)
	w.fails(&types.NotSupported{}, task, err)
	w.detach("lab-vm-1", id)
	if w.device("lab-vm-1", id) != nil {
		t.Fatal("the device is still there")
	}
	w.read(store, id, "")
}

func TestTrackingFollowsTheMachine(t *testing.T) {
	w := newWorld(t, lab.Options{})
	const store = "datastore1"
	id := w.create(store, "a", 1)
	// The machine that tracks turns it on, and detaching leaves it on.
	w.attach("lab-vm-2", store, id)
	w.detach("lab-vm-2", id)
	if !*w.retrieve(store, id).ChangedBlockTrackingEnabled {
		t.Fatal("tracking is off")
	}
	// A machine that does not track refuses it, unless writes are thrown away.
	task, err := w.attachTask("lab-vm-1", store, id)
	w.fails(&types.GenericVmConfigFault{}, task, err)
	spec := types.VirtualMachineConfigSpec{DeviceChange: []types.BaseVirtualDeviceConfigSpec{&types.VirtualDeviceConfigSpec{
		Operation: types.VirtualDeviceConfigSpecOperationAdd,
		Device: &types.VirtualDisk{
			VDiskId: &types.ID{Id: string(id)},
			VirtualDevice: types.VirtualDevice{Backing: &types.VirtualDiskFlatVer2BackingInfo{
				DiskMode: string(types.VirtualDiskModeIndependent_nonpersistent),
			}},
		},
	}}}
	task, err = w.vms["lab-vm-1"].Reconfigure(t.Context(), spec)
	w.do(task, err)
	if w.device("lab-vm-1", id) == nil {
		t.Fatal("the device is not there")
	}
	// The machine's own tracking can be changed.
	task, err = w.vms["lab-vm-3"].Reconfigure(t.Context(), types.VirtualMachineConfigSpec{ChangeTrackingEnabled: types.NewBool(true)})
	w.do(task, err)
	w.attach("lab-vm-3", store, id)
}

// access is PrepareForAccess or EndAccess as the library does it.
func (w *world) access(store string, id ivd.DiskID, op, identity string) error {
	m, err := ticket(w.ready, w.question(store, id, "", op))
	if err != nil {
		return err
	}
	p, err := dial(m)
	if err != nil {
		return err
	}
	defer func() { _ = p.c.Close() }()
	code := map[string]uint16{"prepare": 7, "end": 8}[op]
	_, err = p.call(code, 0, 0, []byte("ticket="+m["ticket"]+"\nidentity="+identity+"\n"))
	return err
}

func TestRelocationIsDisabled(t *testing.T) {
	w := newWorld(t, lab.Options{})
	const store = "datastore1"
	id := w.create(store, "a", 1)
	w.attach("lab-vm-1", store, id)
	w.attach("lab-vm-2", store, id)
	access := func(op, identity string) error { return w.access(store, id, op, identity) }
	relocate := func() (*object.Task, error) {
		return w.vms["lab-vm-1"].Relocate(t.Context(), types.VirtualMachineRelocateSpec{}, types.VirtualMachineMovePriorityDefaultPriority)
	}
	must(t, access("prepare", "run-1"))
	must(t, access("prepare", "run-2"))
	task, err := relocate()
	w.fails(&types.MethodDisabled{}, task, err)
	must(t, access("end", "run-1"))
	must(t, access("end", "run-1"))
	if !w.disabled("lab-vm-1") || !w.disabled("lab-vm-2") || w.disabled("lab-vm-3") {
		t.Fatal("the wrong machines are disabled")
	}
	if n := len(w.lab.Report().Disabled); n != 2 {
		t.Fatalf("%d are reported, want 2", n)
	}
	w.detach("lab-vm-2", id) // the disable stays where it was made
	must(t, access("end", "run-2"))
	if w.disabled("lab-vm-1") || w.disabled("lab-vm-2") {
		t.Fatal("relocation is still disabled")
	}
	task, err = relocate()
	w.do(task, err)
}
