package catalogue

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"ivdmover/shared/config"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
)

const disk = ivd.DiskID("0b7c9d4e-1111-4222-8333-444455556666")

func commit(t *testing.T, r *repo.Repository, at time.Time, parent ivd.PointID) format.Point {
	t.Helper()
	run := ivd.NewRunID(at)
	lease, err := r.OpenLease(t.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Owner: "test", Run: run})
	if err != nil {
		t.Fatal(err)
	}
	p := format.Point{
		ID: ivd.NewPointID(disk, at, run), Repository: r.ID(), Disk: ivd.NewDiskRef("lab", "datastore-1", disk),
		Name: "data", Geometry: ivd.Geometry{Capacity: 1 << 30, ChunkSize: 256 << 10}, Run: run, Lease: lease.ID, LeaseDeadline: lease.Deadline,
		Time: at, Parent: parent, Mode: "changed", Stats: ivd.Stats{ReadBytes: 7, StoredBytes: 5},
	}
	if err := r.Commit(t.Context(), lease, p); err != nil {
		t.Fatal(err)
	}
	return p
}

// Points are shown in order, from memory once they were read; a damaged one hides
// none of the others.
func TestPoints(t *testing.T) {
	dir := t.TempDir()
	st, err := open.Open(t.Context(), config.Repository{URL: "dir://" + dir})
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Init(t.Context(), st, repo.InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	evening := time.Date(2026, 11, 24, 23, 15, 2, 0, time.UTC)
	first := commit(t, r, evening, "")
	second := commit(t, r, evening.Add(24*time.Hour), first.ID)
	damaged := ivd.NewPointID(disk, evening.Add(48*time.Hour), "20261126t231502z-00000000")
	if err := os.WriteFile(filepath.Join(dir, "points", string(damaged)), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := New(r)
	for range 2 {
		points, err := a.Points(t.Context(), "")
		if err != nil || len(points) != 3 {
			t.Fatalf("%+v, %v", points, err)
		}
		p := points[0]
		if p.ID != first.ID || p.Parent != "" || p.Name != "data" || p.Disk.ID() != disk || p.Geometry.Capacity != 1<<30 || p.Stats.ReadBytes != 7 || p.Stats.StoredBytes != 5 || !p.Time.Equal(evening) {
			t.Errorf("%+v", p)
		}
		if p = points[1]; p.ID != second.ID || p.Parent != first.ID {
			t.Errorf("%+v", p)
		}
		if p = points[2]; p.ID != damaged || p.Failure == nil || p.Failure.Kind != ivd.Corrupt || !p.Time.Equal(evening.Add(48*time.Hour)) {
			t.Errorf("%+v", p)
		}
	}
	if len(a.known) != 2 {
		t.Errorf("%d points are kept: the damaged one must not be", len(a.known))
	}
	if points, err := a.Points(t.Context(), "5f0e1d2c-7777-4888-9999-aaaabbbbcccc"); err != nil || len(points) != 0 {
		t.Errorf("of another disk: %+v, %v", points, err)
	}
	// A point that a collector deleted is not shown from memory.
	if err := os.Remove(filepath.Join(dir, "points", string(first.ID))); err != nil {
		t.Fatal(err)
	}
	if points, err := a.Points(t.Context(), disk); err != nil || len(points) != 2 {
		t.Errorf("after a deletion: %+v, %v", points, err)
	}
	if _, err := a.Point(t.Context(), ivd.NewPointID(disk, evening, "none")); ivd.KindOf(err) != ivd.NotFound || ivd.RemedyOf(err) == "" {
		t.Errorf("%v", err)
	}
}
