package lab_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
)

func wantFault(t *testing.T, err error, want types.BaseMethodFault) {
	t.Helper()
	var f interface{ Fault() types.BaseMethodFault }
	if !errors.As(err, &f) {
		t.Fatalf("got %v, want the fault %T", err, want)
	}
	got := reflect.TypeOf(f.Fault())
	for got.Kind() == reflect.Pointer {
		got = got.Elem()
	}
	if got != reflect.TypeOf(want).Elem() {
		t.Fatalf("got the fault %v (%v), want %T", got, err, want)
	}
}

func TestDisksOfADatastore(t *testing.T) {
	w := newWorld(t, lab.Options{})
	ctx := t.Context()
	a := w.create("datastore1", "a", 3)
	b := w.create("datastore2", "b", 1)
	odd := w.register("datastore2", "odd", []byte("odd"), 5<<20+1536)

	ids, err := w.m.List(ctx, w.ds["datastore2"])
	must(t, err)
	if len(ids) != 2 {
		t.Fatalf("listed %v", ids)
	}
	if c := w.retrieve("datastore1", a); c.Name != "a" || c.CapacityInMB != 3 || *c.ChangedBlockTrackingEnabled {
		t.Fatalf("a is %+v", c)
	}
	if c := w.retrieve("datastore2", odd); c.CapacityInMB != 5 {
		t.Fatalf("odd has %d MiB", c.CapacityInMB)
	}
	_, err = w.m.Retrieve(ctx, w.ds["datastore1"], string(b))
	wantFault(t, err, &types.NotFound{})
	_, err = w.m.List(ctx, types.ManagedObjectReference{Type: "Datastore", Value: "datastore-1"})
	wantFault(t, err, &types.InvalidDatastore{})
	_, err = w.m.RegisterDisk(ctx, w.folderURL("datastore2", "fcd/odd.vmdk"), "again")
	wantFault(t, err, &types.AlreadyExists{})
	_, err = w.m.RegisterDisk(ctx, w.folderURL("datastore2", "fcd/absent.vmdk"), "")
	wantFault(t, err, &types.FileNotFound{})
	_, err = w.m.RegisterDisk(ctx, w.folderURL("datastore2", "../lab.json"), "")
	wantFault(t, err, &types.InvalidArgument{})

	must(t, w.m.Rename(ctx, w.ds["datastore1"], string(a), "renamed"))
	if c := w.retrieve("datastore1", a); c.Name != "renamed" {
		t.Fatalf("a is called %q", c.Name)
	}
	w.snapshot("datastore1", a, "in the way")
	task, err := w.m.ExtendDisk(ctx, w.ds["datastore1"], string(a), 9)
	w.fails(&types.InvalidState{}, task, err)
	task, err = w.m.ExtendDisk(ctx, w.ds["datastore2"], string(b), 9)
	w.do(task, err)
	if c := w.retrieve("datastore2", b); c.CapacityInMB != 9 {
		t.Fatalf("b has %d MiB", c.CapacityInMB)
	}
	task, err = w.m.Delete(ctx, w.ds["datastore1"], string(a))
	w.do(task, err)
	_, err = w.m.Retrieve(ctx, w.ds["datastore1"], string(a))
	wantFault(t, err, &types.NotFound{})
}

func TestLogins(t *testing.T) {
	w := newWorld(t, lab.Options{})
	ctx := t.Context()
	_, err := login(ctx, w.ready, "wrong")
	wantFault(t, err, &types.InvalidLogin{})
	other := w.ready
	other.Thumbprint = "00:11"
	if _, err := login(ctx, other, w.ready.Password); err == nil {
		t.Fatal("a wrong thumbprint was trusted")
	}
	second, err := login(ctx, w.ready, w.ready.Password)
	must(t, err)
	defer second.CloseIdleConnections()
	us, err := second.SessionManager.UserSession(ctx)
	must(t, err)
	must(t, w.c.SessionManager.TerminateSession(ctx, []string{us.Key}))
	_, err = methods.ListVStorageObject(ctx, second.Client, &types.ListVStorageObject{This: w.m.ManagedObjectReference, Datastore: w.ds["datastore1"]})
	wantFault(t, err, &types.NotAuthenticated{})
	if n := w.lab.Report().Logins; n != 1 {
		t.Fatalf("%d logins, want 1", n)
	}
}

func TestSnapshotsAndChangedAreas(t *testing.T) {
	w := newWorld(t, lab.Options{AreasPerAnswer: 3})
	ctx := t.Context()
	const store = "datastore1"
	id := w.create(store, "a", 8)
	untracked := w.snapshot(store, id, "before tracking")
	w.track(store, id)
	if c := w.retrieve(store, id); !*c.ChangedBlockTrackingEnabled {
		t.Fatal("tracking is not shown")
	}
	first := w.snapshot(store, id, "run one")
	since := w.changeID(store, id, first)
	want := map[int64]int64{}
	for b := int64(0); b < 10; b++ { // blocks apart from each other
		w.write(id, b*3*64<<10+100, uint64(b), 5)
		want[b*3*64<<10] = 64 << 10
	}
	second := w.snapshot(store, id, "run two")
	w.write(id, 7<<20, 99, 64<<10)

	got := map[int64]int64{}
	pages := 0
	for at := int64(0); at < 8<<20; pages++ {
		info, err := w.areas(store, id, second, since, at)
		must(t, err)
		if info.StartOffset != at || info.Length <= 0 || len(info.ChangedArea) > 3 {
			t.Fatalf("asked from %d, got %+v", at, info)
		}
		for _, a := range info.ChangedArea {
			got[a.Start] = a.Length
		}
		at += info.Length
	}
	if !reflect.DeepEqual(got, want) || pages != 4 {
		t.Fatalf("in %d pages got %v, want %v", pages, got, want)
	}
	info, err := w.areas(store, id, second, "*", 0)
	must(t, err)
	if len(info.ChangedArea) == 0 {
		t.Fatal("nothing is in use")
	}

	_, err = w.areas(store, id, untracked, "*", 0)
	wantFault(t, err, &types.FileFault{})
	_, err = w.areas(store, id, first, w.changeID(store, id, second), 0)
	wantFault(t, err, &types.InvalidArgument{})
	_, err = w.areas(store, id, second, "52dfd9ca-0000-0000-0000-000000000000/1", 0)
	wantFault(t, err, &types.InvalidArgument{})
	_, err = w.areas(store, id, second, since, 8<<20)
	wantFault(t, err, &types.InvalidArgument{})
	_, err = w.areas(store, id, "absent", since, 0)
	wantFault(t, err, &types.NotFound{})

	list, err := w.m.RetrieveSnapshotInfo(ctx, w.ds[store], string(id))
	must(t, err)
	if len(list.Snapshots) != 3 || list.Snapshots[1].Description != "run one" || list.Snapshots[1].Id.Id != first {
		t.Fatalf("snapshots are %+v", list.Snapshots)
	}
	task, err := w.m.DeleteSnapshot(ctx, w.ds[store], string(id), first)
	w.do(task, err)
	task, err = w.m.DeleteSnapshot(ctx, w.ds[store], string(id), first)
	w.fails(&types.NotFound{}, task, err)
	if _, err := w.areas(store, id, second, since, 0); err != nil {
		t.Fatalf("the change id ended with its snapshot: %v", err)
	}
}

func TestRevertAndDiskFromSnapshot(t *testing.T) {
	w := newWorld(t, lab.Options{})
	ctx := t.Context()
	const store = "datastore1"
	id := w.create(store, "a", 2)
	w.write(id, 0, 1, 1<<20)
	first := w.snapshot(store, id, "first")
	w.write(id, 1000, 2, 1<<20)
	w.snapshot(store, id, "second")
	w.write(id, 0, 3, 2<<20)

	res, err := methods.CreateDiskFromSnapshot_Task(ctx, w.c.Client, &types.CreateDiskFromSnapshot_Task{
		This: w.m.ManagedObjectReference, Id: types.ID{Id: string(id)}, Datastore: w.ds[store], SnapshotId: types.ID{Id: first}, Name: "copy",
	})
	must(t, err)
	made := w.do(object.NewTask(w.c.Client, res.Returnval), nil).(types.VStorageObject)
	copied := w.read(store, ivd.DiskID(made.Config.Id.Id), "")
	old := w.read(store, id, first)
	if !bytes.Equal(copied, old) {
		t.Fatal("the copy differs from the snapshot")
	}
	revert := func() (*object.Task, error) {
		res, err := methods.RevertVStorageObject_Task(ctx, w.c.Client, &types.RevertVStorageObject_Task{
			This: w.m.ManagedObjectReference, Id: types.ID{Id: string(id)}, Datastore: w.ds[store], SnapshotId: types.ID{Id: first},
		})
		if err != nil {
			return nil, err
		}
		return object.NewTask(w.c.Client, res.Returnval), nil
	}
	w.attach("lab-vm-3", store, id)
	task, err := revert()
	w.fails(&types.InvalidState{}, task, err)
	w.detach("lab-vm-3", id)
	w.do(revert())
	if !bytes.Equal(w.read(store, id, ""), old) {
		t.Fatal("the disk is not what the snapshot was")
	}
	if n := len(w.lab.Report().Snapshots); n != 1 {
		t.Fatalf("%d snapshots are left, want 1", n)
	}
}

func TestABusyDiskIsRefused(t *testing.T) {
	w := newWorld(t, lab.Options{OperationTime: 700 * time.Millisecond})
	const store = "datastore1"
	id := w.create(store, "a", 1)
	ctx := t.Context()
	first, err := w.m.CreateSnapshot(ctx, w.ds[store], string(id), "one")
	must(t, err)
	// The first call was answered before its task ended.
	var states []error
	for range 2 {
		task, err := w.m.CreateSnapshot(ctx, w.ds[store], string(id), "two")
		must(t, err)
		states = append(states, task.Wait(ctx))
	}
	wantFault(t, errors.Join(states[0]), &types.InvalidState{})
	w.do(first, nil)
}

func TestTwoLaboratoriesOnOneFolder(t *testing.T) {
	w := newWorld(t, lab.Options{})
	_, err := lab.Start(t.Context(), lab.Options{Dir: w.o.Dir})
	if ivd.KindOf(err) != ivd.Locked || ivd.RemedyOf(err) == "" {
		t.Fatalf("got %v", err)
	}
}

func TestADiskWhoseFilesAreGone(t *testing.T) {
	w := newWorld(t, lab.Options{})
	ctx := t.Context()
	const store = "datastore1"
	lost, kept := w.register(store, "lost", []byte("x"), 1<<20), w.create(store, "kept", 1)
	must(t, os.Remove(filepath.Join(w.o.Dir, "datastores", store, "fcd", "lost-flat.vmdk")))
	_, err := w.m.Retrieve(ctx, w.ds[store], string(lost))
	if err == nil { // it is open already
		w.stop()
		w.start()
		_, err = w.m.Retrieve(ctx, w.ds[store], string(lost))
	}
	wantFault(t, err, &types.NotFound{})
	ids, err := w.m.List(ctx, w.ds[store])
	must(t, err)
	if len(ids) != 2 {
		t.Fatalf("listed %v", ids)
	}
	task, err := w.m.ReconcileDatastoreInventory(ctx, w.ds[store])
	w.do(task, err)
	ids, err = w.m.List(ctx, w.ds[store])
	must(t, err)
	if len(ids) != 1 || ids[0].Id != string(kept) {
		t.Fatalf("listed %v", ids)
	}
}

func TestAGuestsWriteBeyondTheEnd(t *testing.T) {
	w := newWorld(t, lab.Options{Disks: 3, DiskSize: 1})
	ids, err := w.m.List(t.Context(), w.ds["datastore1"])
	must(t, err)
	if len(ids) != 2 {
		t.Fatalf("%d of three disks on the first datastore", len(ids))
	}
	id := ivd.DiskID(ids[0].Id)
	if _, err := lab.Write(t.Context(), w.o.Dir, id, 1<<20-10, lab.Random(1, 11)); ivd.KindOf(err) != ivd.Invalid {
		t.Fatalf("got %v", err)
	}
	if n, err := lab.Write(t.Context(), w.o.Dir, id, 1<<20-10, lab.Random(1, 10)); err != nil || n != 10 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	want, err := io.ReadAll(lab.Random(1, 10))
	must(t, err)
	if got := w.read("datastore1", id, ""); !bytes.Equal(got[1<<20-10:], want) {
		t.Fatal("the same seed gave other bytes")
	}
	if _, err := lab.Write(t.Context(), w.o.Dir, "52dfd9ca-0000-0000-0000-000000000000", 0, lab.Random(1, 1)); ivd.KindOf(err) != ivd.NotFound {
		t.Fatalf("got %v", err)
	}
	if _, err := lab.Write(t.Context(), t.TempDir(), id, 0, lab.Random(1, 1)); ivd.KindOf(err) != ivd.NotFound {
		t.Fatalf("got %v", err)
	}
}
