package strict_test

import (
	"bytes"
	"errors"
	"net/url"
	"strconv"
	"testing"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/owner"
	"ivdmover/vddk"
)

// machine is one of the laboratory's, by its place among them: the first two run.
func (w *world) machine(n int) *object.VirtualMachine {
	w.t.Helper()
	ctx := w.t.Context()
	finder := find.NewFinder(w.client())
	dc, err := finder.DefaultDatacenter(ctx)
	must(w.t, err)
	finder.SetDatacenter(dc)
	list, err := finder.VirtualMachineList(ctx, "*")
	must(w.t, err)
	return list[n]
}

// attach attaches the disk, and tells its path.
func (w *world) attach(n int) string {
	w.t.Helper()
	ctx, r := w.t.Context(), w.lab.Ready()
	o, err := owner.Connect(ctx, r.URL, r.Username, r.Password, r.Thumbprint)
	must(w.t, err)
	must(w.t, o.Attach(ctx, w.disk, n))
	d, err := o.Disk(ctx, w.disk)
	must(w.t, errors.Join(err, o.Close(ctx)))
	return d.Path
}

// of names a machine, by login cookie or by password.
func (w *world) of(vm *object.VirtualMachine, snapshot string, password bool) vddk.Params {
	p := w.login
	p.VM, p.VMSnapshot = "moref="+vm.Reference().Value, snapshot
	if password {
		r := w.lab.Ready()
		p.Cookie, p.User, p.Password = "", r.Username, r.Password
	}
	return p
}

func openPath(t *testing.T, p vddk.Params, path string, flags vddk.OpenFlags, modes string) (*vddk.Handle, error) {
	t.Helper()
	c, err := lib.Connect(t.Context(), p, flags&vddk.ReadOnly != 0, modes)
	must(t, err)
	h, err := c.Open(t.Context(), path, flags)
	if err != nil {
		return nil, errors.Join(err, c.Disconnect())
	}
	t.Cleanup(func() { must(t, errors.Join(h.Close(), c.Disconnect())) })
	return h, nil
}

// An attached disk is a VM's: it opens by the VM, its path and a snapshot of the VM,
// over every transport, with a password or a login. The snapshot is none of the
// disk's own.
func TestDiskOfARunningMachine(t *testing.T) {
	w := newWorld(t, 4*mib)
	path, vm := w.attach(0), w.machine(0)
	now := make([]byte, 4*mib)
	w.guest(now, 0, 1, 2*mib)
	before := bytes.Clone(now)
	task, err := vm.CreateSnapshot(t.Context(), "for a backup", "", false, false)
	must(t, err)
	made, err := task.WaitForResult(t.Context())
	must(t, err)
	snapshot := made.Result.(types.ManagedObjectReference).Value
	w.guest(now, mib, 2, 2*mib)
	if own, err := w.vc.Snapshots(t.Context(), w.disk); err != nil || len(own) != 0 {
		t.Fatalf("the disk's own snapshots: %+v, %v", own, err)
	}
	w.proxy(1, "datastore1")
	for _, mode := range []string{"nbdssl", "nbd", "hotadd", "san"} {
		h, err := openPath(t, w.of(vm, snapshot, mode == "nbd"), path, vddk.ReadOnly, mode)
		must(t, err)
		if h.Transport() != mode || h.Info().UUID != string(w.disk.ID()) {
			t.Errorf("%s, %+v", h.Transport(), h.Info())
		}
		compare(t, h, before)
		must(t, h.Close())
	}
	_, err = openPath(t, w.of(vm, snapshot, false), path, 0, "nbdssl")
	wantCode(t, err, 11)
	_, err = openPath(t, w.of(vm, "", false), path, vddk.ReadOnly, "nbdssl")
	wantCode(t, err, 1) // it runs
	_, err = openPath(t, w.of(vm, "snapshot-404", false), path, vddk.ReadOnly, "nbdssl")
	wantCode(t, err, 13003)

	task, err = vm.RemoveSnapshot(t.Context(), "for a backup", false, nil)
	must(t, err)
	must(t, task.Wait(t.Context()))
	_, err = openPath(t, w.of(vm, snapshot, false), path, vddk.ReadOnly, "nbdssl")
	wantCode(t, err, 13003)
	if left := w.lab.Report().Snapshots; len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

// A machine that is off lends its disk for writing; what is not there, or is
// another's, is refused.
func TestDiskOfAMachineThatIsOff(t *testing.T) {
	w := newWorld(t, mib)
	path, vm := w.attach(2), w.machine(2)
	h, err := openPath(t, w.of(vm, "", true), path, 0, "nbdssl")
	must(t, err)
	want := bytes.Repeat([]byte("vm"), mib/2)
	must(t, write(t, h, want, 0))
	compare(t, h, want)
	must(t, h.Close())

	wrong := w.of(vm, "", false)
	wrong.VM = "moref=vm-404"
	_, err = openPath(t, wrong, path, vddk.ReadOnly, "nbdssl")
	wantCode(t, err, 4000)
	wrong.VM = "lab-vm-3"
	_, err = openPath(t, wrong, path, vddk.ReadOnly, "nbdssl")
	wantCode(t, err, 3)
	wrong = w.of(vm, "", false)
	wrong.Cookie = "stale"
	_, err = openPath(t, wrong, path, vddk.ReadOnly, "nbdssl")
	wantCode(t, err, 3046)
	for _, other := range []string{"[datastore1] fcd/none.vmdk", "fcd/none.vmdk", "[datastore2] " + path[len("[datastore1] "):]} {
		_, err = openPath(t, w.of(vm, "", false), other, vddk.ReadOnly, "nbdssl")
		wantCode(t, err, 4)
	}
	_, err = openPath(t, w.of(w.machine(1), "", false), path, vddk.ReadOnly, "nbdssl")
	wantCode(t, err, 4) // another machine's

	// Cleanup names no VM and no disk.
	cleaned, remaining, err := lib.Cleanup(t.Context(), vddk.Params{
		Server: w.login.Server, Port: w.login.Port, Thumbprint: w.login.Thumbprint, User: w.login.User, Cookie: w.login.Cookie,
	})
	if cleaned != 0 || remaining != 0 || err != nil {
		t.Errorf("cleanup: %d, %d, %v", cleaned, remaining, err)
	}
}

// A machine's snapshots end with the laboratory, and what they were of its disks
// goes with them.
func TestMachinesSnapshotsEnd(t *testing.T) {
	w := newWorld(t, mib)
	path, vm := w.attach(2), w.machine(2)
	now := make([]byte, mib)
	w.guest(now, 0, 1, mib/2)
	task, err := vm.CreateSnapshot(t.Context(), "one", "", false, false)
	must(t, err)
	must(t, task.Wait(t.Context()))
	w.guest(now, mib/4, 2, mib/2)
	if left := w.lab.Report().Snapshots; len(left) != 1 {
		t.Fatalf("%+v", left)
	}
	w.end()
	w.lab, err = lab.Start(t.Context(), lab.Options{Dir: w.dir})
	must(t, err)
	if left := w.lab.Report().Snapshots; len(left) != 0 {
		t.Errorf("%+v", left)
	}
	p := w.of(vm, "", true)
	at, err := url.Parse(w.lab.Ready().URL)
	must(t, err)
	port, err := strconv.ParseUint(at.Port(), 10, 16)
	must(t, err)
	p.Port = uint32(port)
	h, err := openPath(t, p, path, vddk.ReadOnly, "nbdssl")
	must(t, err)
	compare(t, h, now)
	must(t, h.Close())
}
