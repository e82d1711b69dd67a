package inventory

import (
	"maps"
	"testing"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
)

// A disk's marks come with it, are told apart from what others keep with it, and go
// alone; where the API has no metadata the disk is made all the same.
func TestMarks(t *testing.T) {
	run, item := NewMark("run", "r-1"), NewMark("item", "i")
	for name, o := range map[string]lab.Options{
		"vCenter": {}, "ESXi host": {ESX: true}, "old vCenter": {Old: true}, "old ESXi host": {ESX: true, Old: true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			v, _, _ := laboratory(t, o)
			if v.KeepsMarks() == o.Old {
				t.Fatalf("keeps marks: %v", v.KeepsMarks())
			}
			ds := must[Datastore](t)(v.Datastore(ctx, "datastore1"))
			ref := must[ivd.DiskRef](t)(v.CreateDisk(ctx, ds.ID, "marked", 1, run, item))
			if o.Old {
				if d := must[Disk](t)(v.Disk(ctx, ref)); d.Marked() || d.Name != "marked" {
					t.Errorf("%+v", d)
				}
				return
			}
			theirs := types.KeyValue{Key: "App", Value: "web"}
			update(t, v, ref, theirs)
			d := must[Disk](t)(v.Disk(ctx, ref))
			if !d.Marked() || !d.Carries(run, item) || d.Carries(run, NewMark("item", "other")) || d.Carries(run, item, NewMark("x", "")) {
				t.Errorf("the marks are %v", d.marks)
			}
			if want := map[string]string{"App": "web"}; !maps.Equal(d.Metadata, want) {
				t.Errorf("metadata %v", d.Metadata)
			}
			for range 2 {
				if err := v.Unmark(ctx, must[Disk](t)(v.Disk(ctx, ref))); err != nil {
					t.Fatal(err)
				}
				if d := must[Disk](t)(v.Disk(ctx, ref)); d.Marked() || d.Carries(run) || len(d.Metadata) != 1 {
					t.Errorf("afterwards: marks %v, metadata %v", d.marks, d.Metadata)
				}
			}
			if err := v.DeleteDisk(ctx, ref); err != nil {
				t.Fatal(err)
			}
			wantKind(t, "marks of a disk that is gone", v.Unmark(ctx, d), ivd.NotFound)
		})
	}
}

// update sets a disk's metadata as others do.
func update(t *testing.T, v *VCenter, ref ivd.DiskRef, pairs ...types.KeyValue) {
	t.Helper()
	req := types.VCenterUpdateVStorageObjectMetadataEx_Task{
		This: v.manager(), Id: types.ID{Id: string(ref.ID())}, Datastore: datastoreRef(ref.Datastore()), Metadata: pairs,
	}
	var task types.ManagedObjectReference
	if v.Standalone() {
		r := types.HostUpdateVStorageObjectMetadataEx_Task(req)
		res, err := methods.HostUpdateVStorageObjectMetadataEx_Task(t.Context(), v.client(), &r)
		if err != nil {
			t.Fatal(err)
		}
		task = res.Returnval
	} else {
		res, err := methods.VCenterUpdateVStorageObjectMetadataEx_Task(t.Context(), v.client(), &req)
		if err != nil {
			t.Fatal(err)
		}
		task = res.Returnval
	}
	if _, err := v.await(t.Context(), "a test", task); err != nil {
		t.Fatal(err)
	}
}

// Versions are compared as figures; what is none is too old.
func TestVersionsThatKeepMarks(t *testing.T) {
	for version, keeps := range map[string]bool{
		"": false, "dev": false, "6.7": false, "6.7.3": false, "7": false, "7.0": false, "7.0.1.1": false,
		"7.0.2": true, "7.0.2.0": true, "7.0.3.1": true, "7.1": true, "8.0.0.1": true, "9": true, "10.0.0.0": true,
	} {
		if atLeast(version, marksSince) != keeps {
			t.Errorf("API %q: keeps marks: %v", version, !keeps)
		}
	}
}
