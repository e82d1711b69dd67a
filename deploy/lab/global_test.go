package lab_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vslm"
	vslmtypes "github.com/vmware/govmomi/vslm/types"

	"ivdmover/deploy/lab"
)

// govc uses the global catalogue unless it is told otherwise; these are the calls of its
// disk.create, disk.ls, disk.tags, disk.metadata and disk.rm.
func TestGlobalCatalogue(t *testing.T) {
	w := newWorld(t, lab.Options{})
	ctx := t.Context()
	g := w.global()
	task, err := g.CreateDisk(ctx, types.VslmCreateSpec{
		Name: "web", CapacityInMB: 3,
		BackingSpec: &types.VslmCreateSpecDiskFileBackingSpec{
			VslmCreateSpecBackingSpec: types.VslmCreateSpecBackingSpec{Datastore: w.ds["datastore2"]},
		},
		Metadata: []types.KeyValue{{Key: "app", Value: "shop"}},
	})
	must(t, err)
	made, err := task.Wait(ctx, limit)
	must(t, err)
	of := made.(types.VStorageObject).Config.Id
	id := of.Id
	other := string(w.create("datastore1", "database", 8))

	got, err := g.Retrieve(ctx, of)
	must(t, err)
	if got.Config.Name != "web" || got.Config.CapacityInMB != 3 {
		t.Errorf("%+v", got.Config)
	}
	_, err = g.Retrieve(ctx, types.ID{Id: "11111111-2222-4333-8444-555555555555"})
	wantFault(t, err, &types.NotFound{})

	query := func(field, operator, value string) []string {
		t.Helper()
		res, err := g.List(ctx, vslmtypes.VslmVsoVStorageObjectQuerySpec{QueryField: field, QueryOperator: operator, QueryValue: []string{value}})
		must(t, err)
		var list []string
		for _, i := range res.Id {
			list = append(list, i.Id)
		}
		return list
	}
	all, err := g.List(ctx)
	must(t, err)
	if len(all.Id) != 2 || all.Id[0].Id > all.Id[1].Id {
		t.Errorf("all disks: %v", all.Id)
	}
	for _, c := range []struct{ field, operator, value, want string }{
		{"name", "startsWith", "we", id},
		{"capacity", "greaterThan", "3", other},
		{"id", "equals", id, id},
		{"metadataKey", "equals", "app", id},
		{"datastoreMoId", "equals", w.ds["datastore1"].Value, other},
	} {
		if got := query(c.field, c.operator, c.value); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s %s %s: %v", c.field, c.operator, c.value, got)
		}
	}

	gold := types.VslmTagEntry{ParentCategoryName: "tier", TagName: "gold"}
	must(t, g.AttachTag(ctx, of, "tier", "gold"))
	if tags, err := g.ListAttachedTags(ctx, of); err != nil || !slices.Equal(tags, []types.VslmTagEntry{gold}) {
		t.Errorf("tags %v, %v", tags, err)
	}
	if ids, err := g.ListAttachedObjects(ctx, "tier", "gold"); err != nil || len(ids) != 1 || ids[0].Id != id {
		t.Errorf("disks of a tag: %v, %v", ids, err)
	}
	must(t, g.DetachTag(ctx, of, "tier", "gold"))

	task, err = g.UpdateMetadata(ctx, of, []types.KeyValue{{Key: "stage", Value: "two"}}, []string{"app"})
	must(t, err)
	_, err = task.Wait(ctx, limit)
	must(t, err)
	pairs, err := g.RetrieveMetadata(ctx, of, nil, "")
	if err != nil || !slices.Equal(pairs, []types.KeyValue{{Key: "stage", Value: "two"}}) {
		t.Errorf("metadata %v, %v", pairs, err)
	}
	if value, err := g.RetrieveMetadataValue(ctx, of, nil, "stage"); err != nil || value != "two" {
		t.Errorf("value %q, %v", value, err)
	}
	task, err = g.CreateSnapshot(ctx, of, "before")
	must(t, err)
	snapshot, err := task.Wait(ctx, limit)
	must(t, err)
	if list, err := g.RetrieveSnapshotInfo(ctx, of); err != nil || len(list) != 1 || *list[0].Id != snapshot.(types.ID) || list[0].Description != "before" {
		t.Errorf("snapshots %+v, %v", list, err)
	}
	task, err = g.DeleteSnapshot(ctx, of, snapshot.(types.ID))
	must(t, err)
	_, err = task.Wait(ctx, limit)
	must(t, err)

	task, err = g.Delete(ctx, of)
	must(t, err)
	_, err = task.Wait(ctx, limit)
	must(t, err)
	_, err = g.Retrieve(ctx, of)
	wantFault(t, err, &types.NotFound{})
	vc, err := vslm.NewClient(ctx, w.c.Client)
	must(t, err)
	vc.Cookie = func() *soap.HeaderElement { return &soap.HeaderElement{Value: "nobody"} }
	if _, err := vslm.NewGlobalObjectManager(vc).List(ctx); err == nil {
		t.Error("it answers without a session")
	}
}

const limit = time.Minute // of a task that ends within moments

func (w *world) global() *vslm.GlobalObjectManager {
	w.t.Helper()
	vc, err := vslm.NewClient(w.t.Context(), w.c.Client)
	must(w.t, err)
	return vslm.NewGlobalObjectManager(vc)
}

// A disk that was registered and whose file is deleted is not there any more.
func TestDeletedFileOfARegisteredDisk(t *testing.T) {
	w := newWorld(t, lab.Options{})
	id := w.register("datastore1", "mine", []byte("content"), 1<<20)
	_, err := w.global().RegisterDisk(t.Context(), w.folderURL("datastore1", "fcd/none.vmdk"), "none")
	wantFault(t, err, &types.FileNotFound{})
	w.retrieve("datastore1", id)
	files, err := filepath.Glob(filepath.Join(w.o.Dir, "datastores", "datastore1", "fcd", "mine*"))
	must(t, err)
	for _, f := range files {
		must(t, os.RemoveAll(f))
	}
	_, err = w.global().Retrieve(t.Context(), types.ID{Id: string(id)})
	wantFault(t, err, &types.NotFound{})
	_, err = w.m.Retrieve(t.Context(), w.ds["datastore1"], string(id))
	wantFault(t, err, &types.NotFound{})
}
