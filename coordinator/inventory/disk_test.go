package inventory

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

func itoa(n int) string { return strconv.Itoa(n) }

func cookies(value string) []*http.Cookie {
	return []*http.Cookie{{Name: soap.SessionCookieName, Value: value, Path: "/"}}
}

func estate() *simulator.Model {
	m := simulator.VPX()
	m.Datacenter, m.Datastore = 2, 2
	return m
}

func must[T any](t *testing.T) func(T, error) T {
	return func(x T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

func TestDatastoresOfAllDatacenters(t *testing.T) {
	v := connect(t, vcsim(t, estate()))
	all := must[[]Datastore](t)(v.Datastores(t.Context()))
	centers := map[string]int{}
	for _, d := range all {
		centers[d.Datacenter]++
		if d.ID == "" || d.Name == "" || d.Type == "" || d.Capacity == 0 || !d.Accessible {
			t.Errorf("%+v", d)
		}
	}
	if len(all) != 4 || len(centers) != 2 {
		t.Errorf("%d datastores in %v", len(all), centers)
	}
	byID := must[Datastore](t)(v.Datastore(t.Context(), string(all[2].ID)))
	if !reflect.DeepEqual(byID, all[2]) {
		t.Errorf("%+v, want %+v", byID, all[2])
	}
	_, err := v.Datastore(t.Context(), all[0].Name)
	wantKind(t, "a name in two datacenters", err, ivd.Unmet, string(all[0].ID), string(all[1].ID), all[1].Datacenter)

	v = connect(t, vcsim(t, simulator.VPX()))
	only := must[[]Datastore](t)(v.Datastores(t.Context()))[0]
	if got := must[Datastore](t)(v.Datastore(t.Context(), only.Name)); !reflect.DeepEqual(got, only) {
		t.Errorf("%+v, want %+v", got, only)
	}
	_, err = v.Datastore(t.Context(), "localds-0")
	wantKind(t, "a datastore that is not there", err, ivd.NotFound, `"localds-0"`, only.Name)
}

func TestDisksComeAndGo(t *testing.T) {
	ctx := t.Context()
	v := connect(t, vcsim(t, estate()))
	stores := must[[]Datastore](t)(v.Datastores(ctx))
	var refs []ivd.DiskRef
	for i := range 2 * batch {
		refs = append(refs, must[ivd.DiskRef](t)(v.CreateDisk(ctx, stores[i%2].ID, "disk-"+itoa(i), int64(i+1))))
	}
	list := map[ivd.DiskID]Disk{}
	for d, err := range v.Disks(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		list[d.Ref.ID()] = d
	}
	if len(list) != len(refs) {
		t.Fatalf("%d disks listed of %d", len(list), len(refs))
	}
	for i, ref := range refs {
		d := list[ref.ID()]
		if d.Ref != ref || d.Name != "disk-"+itoa(i) || d.Capacity != int64(i+1)<<20 || d.DatastoreName != stores[i%2].Name || d.CBT || d.Created.IsZero() || len(d.AttachedTo) != 0 || !strings.HasPrefix(d.Path, "["+d.DatastoreName+"]") {
			t.Errorf("%+v", d)
		}
	}
	for range v.Disks(ctx) {
		break // a caller may stop
	}

	if err := v.DeleteDisk(ctx, refs[0]); err != nil {
		t.Error(err)
	}
	if err := v.DeleteDisk(ctx, refs[0]); err != nil {
		t.Errorf("a disk that is gone: %v", err)
	}
	_, err := v.Disk(ctx, refs[0])
	wantKind(t, "a deleted disk", err, ivd.NotFound, string(refs[0].ID()), stores[0].Name)
	_, err = v.Find(ctx, refs[0].ID())
	wantKind(t, "a deleted disk", err, ivd.NotFound, "any datastore")
	if got := must[Disk](t)(v.Find(ctx, refs[1].ID())); got.Ref != refs[1] {
		t.Errorf("%+v", got)
	}
	_, err = v.Disk(ctx, ivd.NewDiskRef("", "datastore-0", refs[1].ID()))
	wantKind(t, "an unknown datastore", err, ivd.NotFound, "datastore-0")
	_, err = v.CreateDisk(ctx, stores[0].ID, "none", 0)
	wantKind(t, "a disk of nothing", err, ivd.Invalid, "1 MiB")
}

// A disk may vanish between the list and the question about it.
func TestVanishingDiskIsLeftOut(t *testing.T) {
	ctx := t.Context()
	v := connect(t, vcsim(t, simulator.VPX()))
	ds := must[[]Datastore](t)(v.Datastores(ctx))[0]
	stays := must[ivd.DiskRef](t)(v.CreateDisk(ctx, ds.ID, "stays", 1))
	goes := must[ivd.DiskRef](t)(v.CreateDisk(ctx, ds.ID, "goes", 1))
	interpose(v, func(req, _ soap.HasFault) (bool, error) {
		if b, ok := req.(*methods.RetrieveVStorageObjectBody); ok && b.Req.Id.Id == string(goes.ID()) {
			return true, refuse(types.NotFound{})
		}
		return false, nil
	})
	list := func() (got []ivd.DiskRef, errs []error) {
		for d, err := range v.Disks(ctx) {
			if err != nil {
				errs = append(errs, err)
				continue
			}
			got = append(got, d.Ref)
		}
		return got, errs
	}
	// One that goes on being listed does not vanish without a word.
	got, errs := list()
	if !slices.Equal(got, []ivd.DiskRef{stays}) || len(errs) != 1 {
		t.Fatalf("%v, %v", got, errs)
	}
	wantKind(t, "listed, and not found", errs[0], ivd.NotFound, string(goes.ID()), ds.Name, "reconcile")

	deleted := false
	interpose(v, func(req, _ soap.HasFault) (bool, error) {
		if b, ok := req.(*methods.RetrieveVStorageObjectBody); ok && b.Req.Id.Id == string(goes.ID()) && !deleted {
			deleted = true
			if err := v.DeleteDisk(ctx, goes); err != nil {
				t.Error(err)
			}
		}
		return false, nil
	})
	if got, errs = list(); !slices.Equal(got, []ivd.DiskRef{stays}) || len(errs) != 0 || !deleted {
		t.Errorf("%v, %v", got, errs)
	}
}

// A datastore that fails does not hide the others' disks.
func TestDatastoreThatFails(t *testing.T) {
	ctx := t.Context()
	v := connect(t, vcsim(t, estate()))
	stores := must[[]Datastore](t)(v.Datastores(ctx))
	must[ivd.DiskRef](t)(v.CreateDisk(ctx, stores[0].ID, "hidden", 1))
	seen := must[ivd.DiskRef](t)(v.CreateDisk(ctx, stores[3].ID, "seen", 1))
	interpose(v, func(req, _ soap.HasFault) (bool, error) {
		if b, ok := req.(*methods.ListVStorageObjectBody); ok && b.Req.Datastore.Value == string(stores[0].ID) {
			return true, refuse(types.HostCommunication{})
		}
		return false, nil
	})
	var failed, found int
	for d, err := range v.Disks(ctx) {
		if err != nil {
			failed++
			wantKind(t, "list", err, ivd.Transient, stores[0].Name)
		} else if d.Ref == seen {
			found++
		}
	}
	if failed != 1 || found != 1 {
		t.Errorf("%d errors, %d disks", failed, found)
	}
	// What could not be asked is not absent.
	_, err := v.Find(ctx, seen.ID())
	if err != nil {
		t.Error(err)
	}
	interpose(v, func(req, _ soap.HasFault) (bool, error) {
		if b, ok := req.(*methods.RetrieveVStorageObjectBody); ok && b.Req.Datastore.Value == string(stores[3].ID) {
			return true, refuse(types.HostCommunication{})
		}
		return false, nil
	})
	_, err = v.Find(ctx, seen.ID())
	wantKind(t, "find", err, ivd.Transient)
}

func TestAttachedToByName(t *testing.T) {
	ctx := t.Context()
	model := simulator.VPX()
	v := connect(t, vcsim(t, model))
	ds := must[[]Datastore](t)(v.Datastores(ctx))[0]
	ref := must[ivd.DiskRef](t)(v.CreateDisk(ctx, ds.ID, "disk", 1))
	vm := model.Map().Any("VirtualMachine").(*simulator.VirtualMachine)
	attach(t, v, vm.Self, ref)
	got := must[Disk](t)(v.Disk(ctx, ref))
	if len(got.AttachedTo) != 1 || got.AttachedTo[0] != (VM{ID: vm.Self.Value, Name: vm.Name}) {
		t.Errorf("%+v", got.AttachedTo)
	}
}

// Associations name machines by managed object id or UUID; one of them may be gone.
func TestAssociationsOfAllKinds(t *testing.T) {
	ctx := t.Context()
	model := simulator.VPX()
	v := connect(t, vcsim(t, model))
	ds := must[[]Datastore](t)(v.Datastores(ctx))[0]
	ref := must[ivd.DiskRef](t)(v.CreateDisk(ctx, ds.ID, "disk", 1))
	vm := model.Map().Any("VirtualMachine").(*simulator.VirtualMachine)
	const nobody = "11111111-2222-3333-4444-555555555555"
	ids := []string{vm.Self.Value, vm.Config.InstanceUuid, "vm-gone", nobody}
	interpose(v, func(req, res soap.HasFault) (bool, error) {
		switch b := res.(type) {
		case *methods.RetrieveVStorageObjectAssociationsBody:
			a := types.VStorageObjectAssociations{Id: types.ID{Id: string(ref.ID())}}
			for _, id := range ids {
				a.VmDiskAssociations = append(a.VmDiskAssociations, types.VStorageObjectAssociationsVmDiskAssociations{VmId: id})
			}
			b.Res = &types.RetrieveVStorageObjectAssociationsResponse{Returnval: []types.VStorageObjectAssociations{a}}
			return true, nil
		case *methods.RetrieveVStorageObjectBody:
			err := v.own.RoundTrip(ctx, req, res)
			if b.Res != nil {
				b.Res.Returnval.Config.Metadata = []types.KeyValue{{Key: "cns.k8s.pvc.namespace", Value: "shop"}}
			}
			return true, err
		}
		return false, nil
	})
	got := must[Disk](t)(v.Disk(ctx, ref))
	named := VM{ID: vm.Self.Value, Name: vm.Name}
	if want := []VM{named, named, {ID: "vm-gone", Name: "vm-gone"}, {ID: nobody, Name: nobody}}; !slices.Equal(got.AttachedTo, want) {
		t.Errorf("%+v, want %+v", got.AttachedTo, want)
	}
	if got.Metadata["cns.k8s.pvc.namespace"] != "shop" {
		t.Errorf("metadata %v", got.Metadata)
	}
}
