package serve_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/serve"
	"ivdmover/deploy/lab/owner"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
)

// vSphere counts whole MiB: how large a smaller disk is, its last point knows.
func TestCapacityOfASmallDisk(t *testing.T) {
	w := newWorld(t)
	const size = 512 << 10
	fcd := filepath.Join(w.dir, "lab", "datastores", "datastore1", "fcd")
	if err := os.MkdirAll(fcd, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int64{"small.vmdk": 0, "small-flat.vmdk": size} {
		if err := os.WriteFile(filepath.Join(fcd, name), make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o, err := owner.Connect(t.Context(), w.lab.URL, w.lab.Username, w.lab.Password, w.lab.Thumbprint)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close(t.Context()) }()
	small, err := o.Register(t.Context(), "datastore1", "fcd/small.vmdk", "small")
	if err != nil {
		t.Fatal(err)
	}
	client, _ := w.start(t, serve.Options{})
	capacity := func() int64 {
		t.Helper()
		disks, err := client.Disks(t.Context(), api.DiskQuery{})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range disks {
			if d.ID == small.Ref.ID() {
				return d.Capacity
			}
		}
		t.Fatal("the disk is not listed")
		return 0
	}
	if n := capacity(); n != 0 {
		t.Errorf("without a point: %d bytes", n)
	}

	st, err := open.Open(t.Context(), w.config(t, "").Repository)
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	awaitProof(t, r)
	at := time.Now().UTC().Truncate(time.Second)
	run := ivd.NewRunID(at)
	lease, err := r.OpenLease(t.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Owner: "test", Run: run})
	if err != nil {
		t.Fatal(err)
	}
	v, err := inventory.Connect(t.Context(), inventory.Config{Name: "lab", URL: w.lab.URL, Username: w.lab.Username, Password: ivd.Secret(w.lab.Password), Thumbprint: w.lab.Thumbprint})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	source := v.Source()
	if _, err := r.Commit(t.Context(), lease, format.Point{
		ID: ivd.NewPointID(r.Domain(), source, small.Ref.ID(), at, run), Source: format.PointSource{Kind: format.VCenter, ID: source},
		Disk:     format.PointDisk{Kind: ivd.IVD, ID: small.Ref.ID(), Name: "small", Datastore: format.PointDatastore{ID: small.Ref.Datastore()}},
		Geometry: ivd.Geometry{Capacity: size, ChunkSize: 256 << 10}, Run: run, Time: at, SealedAt: at,
		Tracking: format.Tracking{CBT: format.CBTOn, Mode: format.ReadAllocated}, Consistency: format.CrashConsistent,
	}); err != nil {
		t.Fatal(err)
	}
	if n := capacity(); n != size {
		t.Errorf("with a point: %d bytes, want %d", n, size)
	}
}
