package serve_test

import (
	"testing"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/serve"
	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/owner"
	"ivdmover/shared/ivd"
)

// A disk that a restore makes is shown as its own, and is not one that lacks a backup.
func TestUnfinishedDiskIsShownAsOurs(t *testing.T) {
	w := newWorld(t, func(o *lab.Options) { o.Old = true }) // where the working name alone says so
	guest, err := owner.Connect(t.Context(), w.lab.URL, w.lab.Username, w.lab.Password, w.lab.Thumbprint)
	if err != nil {
		t.Fatal(err)
	}
	const run ivd.RunID = "20261124t231500z-1f0c2a9b"
	half, err := guest.Create(t.Context(), "datastore1", inventory.WorkingPrefix+string(run)+"-11111111", 1)
	if err != nil {
		t.Fatal(err)
	}
	client, _ := w.start(t, serve.Options{})
	disks, err := client.Disks(t.Context(), api.DiskQuery{})
	if err != nil || len(disks) != 4 {
		t.Fatalf("%d disks, %v", len(disks), err)
	}
	for _, d := range disks {
		if (d.ID == half.Ref.ID()) != (d.Unfinished == run) {
			t.Errorf("%+v", d)
		}
	}
	disks, err = client.Disks(t.Context(), api.DiskQuery{Unprotected: true})
	if err != nil || len(disks) != 3 {
		t.Errorf("%d disks without a backup, %v", len(disks), err)
	}
}
