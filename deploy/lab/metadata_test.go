package lab_test

import (
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
)

// A disk's metadata is there as soon as the disk is, outlives a restart, and changes
// by key, on a vCenter and on a host: all of a call, or nothing. An API of before it
// refuses it.
func TestMetadata(t *testing.T) {
	for name, esx := range map[string]bool{"vCenter": false, "ESXi host": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Options{ESX: esx})
			id, err := w.createWith(pair("a", "1"), pair("b", ""))
			must(t, err)
			w.stop()
			w.start()
			w.checkMetadata(id, pair("a", "1"), pair("b", ""))
			must(t, w.update(id, []string{"a", "none"}, pair("b", "2"), pair("c", "3")))
			w.checkMetadata(id, pair("b", "2"), pair("c", "3"))
			twice := []types.KeyValue{pair("d", "4"), pair("e", "5"), pair("d", "6")}
			wantFault(t, w.update(id, []string{"b"}, twice...), &types.InvalidArgument{})
			w.checkMetadata(id, pair("b", "2"), pair("c", "3"))
			_, err = w.createWith(twice...)
			wantFault(t, err, &types.InvalidArgument{})
			if all, err := w.m.List(t.Context(), w.ds["datastore1"]); err != nil || len(all) != 1 {
				t.Errorf("%d disks after a creation that was refused: %v", len(all), err)
			}
			wantFault(t, w.update("11111111-1111-4111-8111-111111111111", nil, pair("x", "y")), &types.NotFound{})
		})
		t.Run("old "+name, func(t *testing.T) {
			w := newWorld(t, lab.Options{ESX: esx, Old: true})
			if v := w.c.ServiceContent.About.ApiVersion; v != "7.0.1.1" {
				t.Errorf("API %s", v)
			}
			_, err := w.createWith(pair("a", "1"))
			wantFault(t, err, &types.InvalidArgument{})
			id, err := w.createWith()
			must(t, err)
			wantFault(t, w.update(id, []string{"a"}), &types.InvalidArgument{})
			w.checkMetadata(id)
		})
	}
}

func pair(key, value string) types.KeyValue { return types.KeyValue{Key: key, Value: value} }

func (w *world) createWith(metadata ...types.KeyValue) (ivd.DiskID, error) {
	w.t.Helper()
	task, err := w.m.CreateDisk(w.t.Context(), types.VslmCreateSpec{
		Name: "disk", CapacityInMB: 1, Metadata: metadata,
		BackingSpec: &types.VslmCreateSpecDiskFileBackingSpec{VslmCreateSpecBackingSpec: types.VslmCreateSpecBackingSpec{Datastore: w.ds["datastore1"]}},
	})
	must(w.t, err)
	info, err := task.WaitForResult(w.t.Context())
	if err != nil {
		return "", err
	}
	made := info.Result.(types.VStorageObject)
	if len(made.Config.Metadata) != len(metadata) {
		w.t.Errorf("the disk comes with %v, want %v", made.Config.Metadata, metadata)
	}
	return ivd.DiskID(made.Config.Id.Id), nil
}

func (w *world) update(id ivd.DiskID, removed []string, pairs ...types.KeyValue) error {
	w.t.Helper()
	req := types.VCenterUpdateVStorageObjectMetadataEx_Task{
		This: w.m.ManagedObjectReference, Id: types.ID{Id: string(id)}, Datastore: w.ds["datastore1"], Metadata: pairs, DeleteKeys: removed,
	}
	var ref types.ManagedObjectReference
	if w.c.IsVC() {
		res, err := methods.VCenterUpdateVStorageObjectMetadataEx_Task(w.t.Context(), w.c.Client, &req)
		must(w.t, err)
		ref = res.Returnval
	} else {
		r := types.HostUpdateVStorageObjectMetadataEx_Task(req)
		res, err := methods.HostUpdateVStorageObjectMetadataEx_Task(w.t.Context(), w.c.Client, &r)
		must(w.t, err)
		ref = res.Returnval
	}
	return object.NewTask(w.c.Client, ref).Wait(w.t.Context())
}

func (w *world) checkMetadata(id ivd.DiskID, want ...types.KeyValue) {
	w.t.Helper()
	got := w.retrieve("datastore1", id).Metadata
	if len(got) != len(want) {
		w.t.Fatalf("metadata %v, want %v", got, want)
	}
	for i := range want { // in the order of keys
		if got[i] != want[i] {
			w.t.Errorf("metadata %v, want %v", got, want)
		}
	}
}
