package inventory

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// oneDisk is a vCenter with a disk.
func oneDisk(t *testing.T) (*VCenter, ivd.DiskRef) {
	t.Helper()
	cfg := vcsim(t, estate())
	cfg.Tasks = 3
	v := connect(t, cfg)
	ds := must[[]Datastore](t)(v.Datastores(t.Context()))[0]
	return v, must[ivd.DiskRef](t)(v.CreateDisk(t.Context(), ds.ID, "disk", 10))
}

func TestSnapshotsByTheirDescription(t *testing.T) {
	ctx := t.Context()
	v, ref := oneDisk(t)
	first := must[ivd.SnapshotID](t)(v.CreateSnapshot(ctx, ref, "ours"))
	second := must[ivd.SnapshotID](t)(v.CreateSnapshot(ctx, ref, "theirs"))
	list := must[[]Snapshot](t)(v.Snapshots(ctx, ref))
	if len(list) != 2 || list[0].ID != first || list[0].Description != "ours" || list[1].ID != second || list[1].Created.IsZero() {
		t.Fatalf("%+v", list)
	}
	for range 2 { // the second time it is gone
		if err := v.DeleteSnapshot(ctx, ref, first); err != nil {
			t.Fatal(err)
		}
	}
	if list = must[[]Snapshot](t)(v.Snapshots(ctx, ref)); len(list) != 1 || list[0].ID != second {
		t.Errorf("%+v", list)
	}
	if err := v.DeleteDisk(ctx, ref); err != nil {
		t.Fatal(err)
	}
	if err := v.DeleteSnapshot(ctx, ref, second); err != nil {
		t.Errorf("the disk is gone, and its snapshots: %v", err)
	}
	_, err := v.Snapshots(ctx, ref)
	wantKind(t, "snapshots of no disk", err, ivd.NotFound, string(ref.ID()))
}

// A disk may be relocated while a run has a snapshot of it.
func TestDeleteSnapshotOfARelocatedDisk(t *testing.T) {
	ctx := t.Context()
	v, ref := oneDisk(t)
	snap := must[ivd.SnapshotID](t)(v.CreateSnapshot(ctx, ref, "ours"))
	was := ref
	was = was.On(must[[]Datastore](t)(v.Datastores(ctx))[3].ID)
	if err := v.DeleteSnapshot(ctx, was, snap); err != nil {
		t.Fatal(err)
	}
	if list := must[[]Snapshot](t)(v.Snapshots(ctx, ref)); len(list) != 0 {
		t.Errorf("the snapshot is still there: %+v", list)
	}
}

// What cannot be asked is not taken for gone.
func TestDeleteSnapshotInDoubt(t *testing.T) {
	v, ref := oneDisk(t)
	was := ref
	was = was.On(must[[]Datastore](t)(v.Datastores(t.Context()))[3].ID)
	interpose(v, func(req, _ soap.HasFault) (bool, error) {
		if b, ok := req.(*methods.RetrieveVStorageObjectBody); ok && b.Req.Datastore.Value == string(ref.Datastore()) {
			return true, refuse(types.HostCommunication{})
		}
		return false, nil
	})
	wantKind(t, "delete", v.DeleteSnapshot(t.Context(), was, "s"), ivd.Transient)

	// It is listed, so it is there, whatever the deletion said.
	v, ref = oneDisk(t)
	snap := must[ivd.SnapshotID](t)(v.CreateSnapshot(t.Context(), ref, "ours"))
	interpose(v, func(req, _ soap.HasFault) (bool, error) {
		if _, ok := req.(*methods.DeleteSnapshot_TaskBody); ok {
			return true, refuse(types.NotFound{})
		}
		return false, nil
	})
	wantKind(t, "delete", v.DeleteSnapshot(t.Context(), ref, snap), ivd.NotFound, string(snap))
}

func TestBusyDiskIsWaitedFor(t *testing.T) {
	for _, fault := range []types.AnyType{types.TaskInProgress{}, types.InvalidState{}, types.ConcurrentAccess{}} {
		v, ref := oneDisk(t)
		refusals := 0
		interpose(v, func(req, _ soap.HasFault) (bool, error) {
			if called(req) == "VStorageObjectCreateSnapshot_Task" && refusals < 3 {
				refusals++
				return true, refuse(fault)
			}
			return false, nil
		})
		if _, err := v.CreateSnapshot(t.Context(), ref, "ours"); err != nil || refusals != 3 {
			t.Errorf("%T: %v after %d refusals", fault, err, refusals)
		}
		refusals = -1 << 20
		_, err := v.CreateSnapshot(t.Context(), ref, "ours")
		wantKind(t, "a disk that stays busy", err, ivd.Locked, string(ref.ID()), "wait")
		if refusals != -1<<20+beginAgain.Attempts {
			t.Errorf("tried %d times", refusals+1<<20)
		}
		list := must[[]Snapshot](t)(v.Snapshots(t.Context(), ref))
		if len(list) != 1 {
			t.Errorf("%d snapshots", len(list))
		}
	}
}

// A task goes on when the vCenter is away for a moment, or our session ends.
func TestTaskSurvivesInterruption(t *testing.T) {
	v, ref := oneDisk(t)
	asked := 0
	interpose(v, func(req, _ soap.HasFault) (bool, error) {
		if !strings.HasPrefix(called(req), "RetrieveProperties") {
			return false, nil
		}
		switch asked++; asked {
		case 1:
			return true, context.DeadlineExceeded
		case 2:
			endSessions(t, v, v.own)
		}
		return false, nil
	})
	if _, err := v.CreateSnapshot(t.Context(), ref, "ours"); err != nil {
		t.Fatal(err)
	}
	interpose(v, func(req, _ soap.HasFault) (bool, error) {
		if strings.HasPrefix(called(req), "RetrieveProperties") {
			return true, refuse(types.ManagedObjectNotFound{})
		}
		return false, nil
	})
	_, err := v.CreateSnapshot(t.Context(), ref, "ours")
	wantKind(t, "a task that vCenter forgot", err, ivd.Transient, "may be done or not")
}

func TestTaskEndsWithItsContext(t *testing.T) {
	v, ref := oneDisk(t)
	ctx, cancel := context.WithCancel(t.Context())
	interpose(v, func(req, _ soap.HasFault) (bool, error) {
		if called(req) == "VStorageObjectCreateSnapshot_Task" {
			cancel()
			return true, refuse(types.TaskInProgress{})
		}
		return false, nil
	})
	v.beginAgain.First, v.beginAgain.Cap = time.Hour, time.Hour
	_, err := v.CreateSnapshot(ctx, ref, "ours")
	wantKind(t, "cancelled", err, ivd.Cancelled)

	_, err = v.do(t.Context(), "do something", time.Millisecond, func(context.Context) (types.ManagedObjectReference, error) {
		return types.ManagedObjectReference{}, refuse(types.TaskInProgress{})
	})
	wantKind(t, "too long", err, ivd.Transient, "not done after 1ms")
}

func TestTasksAtOnceAreLimited(t *testing.T) {
	v, _ := oneDisk(t)
	var now, most atomic.Int32
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			_, _ = v.do(context.Background(), "count", time.Minute, func(context.Context) (types.ManagedObjectReference, error) {
				n := now.Add(1)
				defer now.Add(-1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				_, err := v.Datastores(context.Background())
				return types.ManagedObjectReference{}, errors.Join(errors.New("enough"), err)
			})
		})
	}
	all.Wait()
	if most.Load() != 3 {
		t.Errorf("%d tasks at once, want 3", most.Load())
	}
}

func TestAttachedDiskIsNotDeleted(t *testing.T) {
	model := simulator.VPX()
	v := connect(t, vcsim(t, model))
	ctx := t.Context()
	ds := must[[]Datastore](t)(v.Datastores(ctx))[0]
	ref := must[ivd.DiskRef](t)(v.CreateDisk(ctx, ds.ID, "disk", 1))
	vm := model.Map().Any("VirtualMachine").(*simulator.VirtualMachine)
	attach(t, v, vm.Self, ref)
	wantKind(t, "delete", v.DeleteDisk(ctx, ref), ivd.Locked, string(ref.ID()), "detach")
}
