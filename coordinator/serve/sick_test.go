package serve_test

import (
	"path/filepath"
	"strings"
	"testing"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/serve"
	"ivdmover/deploy/lab/script"
	"ivdmover/shared/ivd"
)

// A disk of which vSphere does not tell is named in each list, and hides no other; a
// backup of all saves its neighbours.
func TestSickDiskIsNamed(t *testing.T) {
	w := newWorld(t)
	client, _ := w.start(t, serve.Options{})
	disks, err := client.Disks(t.Context(), api.DiskQuery{})
	if err != nil || len(disks) != 3 {
		t.Fatalf("%+v, %v", disks, err)
	}
	bad := disks[1]
	if err := script.WriteAnswers(filepath.Join(w.dir, "lab"), script.Answer{Call: "RetrieveVStorageObject", Disk: string(bad.ID), Fault: "NoPermission"}); err != nil {
		t.Fatal(err)
	}
	disks, err = client.Disks(t.Context(), api.DiskQuery{})
	if err != nil || len(disks) != 3 {
		t.Fatalf("%+v, %v", disks, err)
	}
	for _, d := range disks {
		if (d.Failure != nil) != (d.ID == bad.ID) || d.Datastore == "" || d.VCenter != "lab" {
			t.Errorf("%+v", d)
		}
	}
	snapshots, err := client.Snapshots(t.Context())
	if err != nil || len(snapshots) != 1 || snapshots[0].Disk != bad.ID || snapshots[0].Failure == nil || snapshots[0].Failure.Kind != ivd.Denied {
		t.Errorf("snapshots %+v, %v", snapshots, err)
	}
	run, err := client.Backup(t.Context(), api.BackupRequest{All: true})
	if err != nil || run.Counts.Disks != 2 || run.Failure == nil || !strings.Contains(run.Failure.Message, string(bad.ID)) {
		t.Errorf("%+v, %v", run, err)
	}
}

// A datastore that nobody has is no empty list.
func TestDisksOfNoDatastore(t *testing.T) {
	w := newWorld(t)
	client, _ := w.start(t, serve.Options{})
	disks, err := client.Disks(t.Context(), api.DiskQuery{Datastore: "nosuch"})
	if ivd.KindOf(err) != ivd.NotFound || !strings.Contains(err.Error(), "nosuch") || ivd.RemedyOf(err) == "" {
		t.Errorf("%+v, %v", disks, err)
	}
}
