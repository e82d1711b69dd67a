package inventory

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
)

const (
	kib = int64(1) << 10
	mib = int64(1) << 20
)

// laboratory starts one with the disks asked for, and connects to it.
func laboratory(t *testing.T, o lab.Options) (*VCenter, *lab.Lab, string) {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	l, err := lab.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	r := l.Ready()
	return connect(t, Config{Name: "lab", URL: r.URL, Username: r.Username, Password: ivd.Secret(r.Password), Thumbprint: r.Thumbprint}), l, o.Dir
}

func listed(t *testing.T, v *VCenter) []Disk {
	t.Helper()
	var all []Disk
	for d, err := range v.Disks(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

func TestChangedAreasOfRealWrites(t *testing.T) {
	ctx := t.Context()
	v, _, dir := laboratory(t, lab.Options{AreasPerAnswer: 2})
	ds := must[Datastore](t)(v.Datastore(ctx, "datastore1"))
	ref := must[ivd.DiskRef](t)(v.CreateDisk(ctx, ds.ID, "disk", 64))

	untracked := must[ivd.SnapshotID](t)(v.CreateSnapshot(ctx, ref, "before tracking"))
	if id := must[ivd.ChangeID](t)(v.ChangeID(ctx, ref, untracked)); id != "" {
		t.Errorf("change id %q without tracking", id)
	}
	_, err := v.ChangedAreas(ctx, ref, untracked, InUse, 64*mib)
	wantKind(t, "not tracked", err, ivd.Unsupported)
	if err := v.DeleteSnapshot(ctx, ref, untracked); err != nil {
		t.Fatal(err)
	}

	if err := v.EnableCBT(ctx, ref); err != nil {
		t.Fatal(err)
	}
	if !must[Disk](t)(v.Disk(ctx, ref)).CBT {
		t.Error("tracking does not show")
	}
	write := func(offset int64) {
		t.Helper()
		if _, err := lab.Write(ctx, dir, ref.ID(), offset, bytes.NewReader([]byte("guest"))); err != nil {
			t.Fatal(err)
		}
	}
	write(mib)
	first := must[ivd.SnapshotID](t)(v.CreateSnapshot(ctx, ref, "first"))
	since := must[ivd.ChangeID](t)(v.ChangeID(ctx, ref, first))
	var want []ivd.Extent
	for i := range int64(7) { // more than the areas of one answer
		write(i * 8 * mib)
		want = append(want, ivd.Extent{Offset: i * 8 * mib, Length: 64 * kib})
	}
	second := must[ivd.SnapshotID](t)(v.CreateSnapshot(ctx, ref, "second"))
	write(63 * mib) // after the snapshot
	areas := must[[]ivd.Extent](t)(v.ChangedAreas(ctx, ref, second, since, 64*mib))
	if !slices.Equal(areas, want) {
		t.Errorf("changed %v, want %v", areas, want)
	}
	inUse := must[[]ivd.Extent](t)(v.ChangedAreas(ctx, ref, first, InUse, 64*mib))
	if !slices.ContainsFunc(inUse, func(e ivd.Extent) bool { return e.Offset <= mib && e.End() > mib }) {
		t.Errorf("in use %v", inUse)
	}
	_, err = v.ChangedAreas(ctx, ref, second, "00000000-0000-0000-0000-000000000000/1", 64*mib)
	wantKind(t, "another series", err, ivd.Conflict, "none is needed")
	_, err = v.ChangedAreas(ctx, ref, "no-such", since, 64*mib)
	wantKind(t, "no snapshot", err, ivd.NotFound)
	if must[ivd.ChangeID](t)(v.ChangeID(ctx, ref, second)).Series() != since.Series() {
		t.Error("the series changed between two snapshots")
	}
}

// An IVD's id stays valid when it is snapshotted, renamed and attached; attached
// and detached ones are listed (VMware's notes on IVDs, 1 and 2).
func TestWholeEstateIsListed(t *testing.T) {
	ctx := t.Context()
	v, l, _ := laboratory(t, lab.Options{Disks: 5, DiskSize: 4 * mib})
	all := listed(t, v)
	if len(all) != 5 {
		t.Fatalf("%d disks", len(all))
	}
	stores := map[string]int{}
	for _, d := range all {
		stores[d.DatastoreName]++
		if d.Capacity != 4*mib || len(d.AttachedTo) != 0 || d.Ref.Source() != v.Source() {
			t.Errorf("%+v", d)
		}
	}
	if stores["datastore1"] == 0 || stores["datastore2"] == 0 {
		t.Errorf("disks on %v", stores)
	}
	ref := all[0].Ref
	snap := must[ivd.SnapshotID](t)(v.CreateSnapshot(ctx, ref, "ours"))
	if err := v.Rename(ctx, ref, "another name"); err != nil {
		t.Fatal(err)
	}
	vm := machine(t, v, "lab-vm-1")
	attach(t, v, vm, ref)
	d := must[Disk](t)(v.Disk(ctx, ref))
	if d.Ref != ref || d.Name != "another name" || !slices.Equal(d.AttachedTo, []VM{{ID: vm.Value, Name: "lab-vm-1"}}) {
		t.Errorf("%+v", d)
	}
	if len(listed(t, v)) != 5 {
		t.Error("an attached disk is not listed")
	}
	if list := must[[]Snapshot](t)(v.Snapshots(ctx, ref)); len(list) != 1 || list[0].ID != snap || list[0].Description != "ours" {
		t.Errorf("%+v", list)
	}
	wantKind(t, "delete an attached disk", v.DeleteDisk(ctx, ref), ivd.Locked)
	if err := v.DeleteSnapshot(ctx, ref, snap); err != nil {
		t.Fatal(err)
	}
	if left := l.Report().Snapshots; len(left) != 0 {
		t.Errorf("%+v", left)
	}
	gone := all[1].Ref
	for range 2 {
		if err := v.DeleteDisk(ctx, gone); err != nil {
			t.Fatal(err)
		}
	}
	if len(listed(t, v)) != 4 {
		t.Error("a deleted disk is listed")
	}
}

func machine(t *testing.T, v *VCenter, name string) types.ManagedObjectReference {
	t.Helper()
	all, err := view.NewManager(v.client()).CreateContainerView(t.Context(), v.client().ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	if err != nil {
		t.Fatal(err)
	}
	var vms []mo.VirtualMachine
	if err := all.Retrieve(t.Context(), []string{"VirtualMachine"}, []string{"name"}, &vms); err != nil {
		t.Fatal(err)
	}
	for _, vm := range vms {
		if vm.Name == name {
			return vm.Self
		}
	}
	t.Fatalf("no %s among %d machines", name, len(vms))
	return types.ManagedObjectReference{}
}

func attach(t *testing.T, v *VCenter, vm types.ManagedObjectReference, ref ivd.DiskRef) {
	t.Helper()
	res, err := methods.AttachDisk_Task(t.Context(), v.client(), &types.AttachDisk_Task{This: vm, DiskId: types.ID{Id: string(ref.ID())}, Datastore: datastoreRef(ref.Datastore())})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.await(t.Context(), "a test", res.Returnval); err != nil {
		t.Fatal(err)
	}
}

// A registered disk need be no multiple of anything; vSphere tells its whole MiB.
func TestOddCapacity(t *testing.T) {
	ctx := t.Context()
	v, _, dir := laboratory(t, lab.Options{})
	fcd := filepath.Join(dir, "datastores", "datastore1", "fcd")
	if err := os.MkdirAll(fcd, 0o755); err != nil {
		t.Fatal(err)
	}
	const odd = 3<<20 + 66048 // a block and a sector beyond 3 MiB
	for name, size := range map[string]int64{"odd.vmdk": 0, "odd-flat.vmdk": odd} {
		if err := os.WriteFile(filepath.Join(fcd, name), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	res, err := methods.RegisterDisk(ctx, v.client(), &types.RegisterDisk{This: v.manager(), Path: "[datastore1] fcd/odd.vmdk", Name: "odd"})
	if err != nil {
		t.Fatal(err)
	}
	d := must[Disk](t)(v.Find(ctx, ivd.DiskID(res.Returnval.Config.Id.Id)))
	if d.Capacity != 3*mib || d.Name != "odd" {
		t.Errorf("%+v", d)
	}
	if err := v.EnableCBT(ctx, d.Ref); err != nil {
		t.Fatal(err)
	}
	a := must[ivd.SnapshotID](t)(v.CreateSnapshot(ctx, d.Ref, "a"))
	since := must[ivd.ChangeID](t)(v.ChangeID(ctx, d.Ref, a))
	if _, err := lab.Write(ctx, dir, d.Ref.ID(), odd-10, bytes.NewReader(make([]byte, 10))); err != nil {
		t.Fatal(err)
	}
	b := must[ivd.SnapshotID](t)(v.CreateSnapshot(ctx, d.Ref, "b"))
	areas := must[[]ivd.Extent](t)(v.ChangedAreas(ctx, d.Ref, b, since, odd))
	if !slices.ContainsFunc(areas, func(e ivd.Extent) bool { return e.Offset <= odd-10 && e.End() >= odd }) {
		t.Errorf("the last sector changed, and the areas are %v", areas)
	}
}

// The vCenter restarts: our sessions are gone, our next calls succeed.
func TestVCenterRestarts(t *testing.T) {
	ctx := t.Context()
	v, l, dir := laboratory(t, lab.Options{Disks: 1, DiskSize: mib})
	before := listed(t, v)
	login, err := v.Login(ctx)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(l.Ready().URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = v.Datastores(ctx)
	wantKind(t, "while it is away", err, ivd.Transient)
	again, err := lab.Start(ctx, lab.Options{Dir: dir, Listen: u.Host})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	})
	after := listed(t, v)
	if len(before) != 1 || len(after) != 1 || after[0].Ref != before[0].Ref {
		t.Errorf("before %+v, after %+v", before, after)
	}
	next, err := v.Login(ctx)
	if err != nil || next.Cookie == login.Cookie {
		t.Errorf("a login of before the restart was handed out: %v", err)
	}
	if n := again.Report().Logins; n != 2 {
		t.Errorf("%d sessions, want ours and the movers'", n)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if n := again.Report().Logins; n != 0 {
		t.Errorf("%d sessions after Close", n)
	}
}

// The disk is busy with an operation that takes a while; ours waits.
func TestOperationsOnOneDiskFollowEachOther(t *testing.T) {
	ctx := t.Context()
	v, l, _ := laboratory(t, lab.Options{Disks: 1, DiskSize: mib, OperationTime: 20 * time.Millisecond})
	v.beginAgain.First, v.beginAgain.Cap = 15*time.Millisecond, 15*time.Millisecond
	ref := listed(t, v)[0].Ref
	results := make(chan error, 3)
	for range cap(results) {
		go func() {
			_, err := v.CreateSnapshot(ctx, ref, "ours")
			results <- err
		}()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := len(l.Report().Snapshots); n != 3 {
		t.Errorf("%d snapshots", n)
	}
}
