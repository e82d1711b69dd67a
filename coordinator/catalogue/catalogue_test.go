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
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store/faults"
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
		ID:       ivd.NewPointID(r.Domain(), "lab", disk, at, run),
		Source:   format.PointSource{Kind: format.VCenter, ID: "lab"},
		Disk:     format.PointDisk{Kind: ivd.IVD, ID: disk, Name: "data", Datastore: format.PointDatastore{ID: "datastore-1"}},
		Geometry: ivd.Geometry{Capacity: 1 << 30, ChunkSize: 256 << 10}, Run: run, Time: at, SealedAt: at.Add(time.Hour),
		Tracking: format.Tracking{CBT: format.CBTOn, Mode: format.ReadChanged}, Consistency: format.CrashConsistent,
		Stats: ivd.Stats{ReadBytes: 7, StoredBytes: 5},
	}
	if parent != "" {
		p.Parent = &format.PointParent{Point: parent}
	}
	if _, err := r.Commit(t.Context(), lease, p); err != nil {
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
	damaged := ivd.NewPointID(r.Domain(), "lab", disk, evening.Add(48*time.Hour), "20261126t231502z-00000000")
	if err := os.WriteFile(filepath.Join(dir, "points", string(damaged)), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	unknown := string(damaged) + ".of-a-later-release"
	if err := os.WriteFile(filepath.Join(dir, "points", unknown), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a := New(r)
	last, err := a.Last(t.Context())
	if err != nil || len(last) != 1 || last[Disk{"lab", disk}] != damaged {
		t.Errorf("the last point: %v, %v", last, err)
	}
	for range 2 {
		points, err := a.Points(t.Context(), Disk{})
		if err != nil || len(points) != 4 {
			t.Fatalf("%+v, %v", points, err)
		}
		p := points[0]
		if p.ID != first.ID || p.Parent != "" || p.Name != "data" || p.Disk.ID() != disk || p.Geometry.Capacity != 1<<30 || p.Stats.ReadBytes != 7 || p.Stats.StoredBytes != 5 || !p.Time.Equal(evening) {
			t.Errorf("%+v", p)
		}
		if p = points[1]; p.ID != second.ID || p.Parent != first.ID {
			t.Errorf("%+v", p)
		}
		if p = points[3]; string(p.ID) != unknown || p.Failure == nil || p.Failure.Kind != ivd.Unsupported {
			t.Errorf("%+v", p)
		}
		if p = points[2]; p.ID != damaged || p.Failure == nil || p.Failure.Kind != ivd.Corrupt || !p.Time.Equal(evening.Add(48*time.Hour)) {
			t.Errorf("%+v", p)
		}
	}
	if a.shelf.count != 2 {
		t.Errorf("%d points are kept: the damaged one must not be", a.shelf.count)
	}
	if points, err := a.Points(t.Context(), Disk{ID: "5f0e1d2c-7777-4888-9999-aaaabbbbcccc"}); err != nil || len(points) != 0 {
		t.Errorf("of another disk: %+v, %v", points, err)
	}
	// A point that a collector deleted is not shown from memory.
	if err := os.Remove(filepath.Join(dir, "points", string(first.ID))); err != nil {
		t.Fatal(err)
	}
	if points, err := a.Points(t.Context(), Disk{ID: disk}); err != nil || len(points) != 2 {
		t.Errorf("after a deletion: %+v, %v", points, err)
	}
	if _, err := a.Point(t.Context(), ivd.NewPointID(r.Domain(), "lab", disk, evening, "none")); ivd.KindOf(err) != ivd.NotFound || ivd.RemedyOf(err) == "" {
		t.Errorf("%v", err)
	}
}

// Points are found by what people call them.
func TestResolveOfARepository(t *testing.T) {
	st, err := open.Open(t.Context(), config.Repository{URL: "dir://" + t.TempDir()})
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
	a := New(r)
	points, err := a.Points(t.Context(), Disk{})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]ivd.PointID{
		points[0].Short: first.ID, "data@latest": second.ID, "data@2026-11-25T00:00Z": first.ID, string(second.ID): second.ID,
	} {
		if got, err := a.Resolve(t.Context(), text, label); err != nil || got != want {
			t.Errorf("%q is %s, want %s: %v", text, got, want, err)
		}
	}
	// vSphere's clock went wrong: the store's counts, and it is said.
	wrong := format.Point{
		Source: second.Source, Disk: second.Disk, Geometry: second.Geometry, Tracking: second.Tracking, Consistency: second.Consistency,
		Run: "run-3", Time: evening.AddDate(-10, 0, 0), SealedAt: evening.Add(48 * time.Hour),
	}
	wrong.ID = ivd.NewPointID(r.Domain(), "lab", disk, wrong.SealedAt, wrong.Run)
	lease, err := r.OpenLease(t.Context(), repo.LeaseSpec{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Commit(t.Context(), lease, wrong); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Resolve(t.Context(), "data@latest", label); err != nil || got != wrong.ID {
		t.Errorf("the latest is %s: %v", got, err)
	}
	p, err := a.Point(t.Context(), wrong.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, doubted := p.Moment(); !doubted || !p.Time.Equal(wrong.Time) {
		t.Errorf("%+v", p)
	}
}

// A point that cannot be read just now hides no other; while it may be the one that is
// meant, none is chosen by a disk's name.
func TestPointThatCannotBeReadNow(t *testing.T) {
	folder, err := open.Open(t.Context(), config.Repository{URL: "dir://" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	st := faults.New(t, folder)
	r, err := repo.Init(t.Context(), st, repo.InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	evening := time.Date(2026, 11, 24, 23, 15, 2, 0, time.UTC)
	first := commit(t, r, evening, "")
	second := commit(t, r, evening.Add(24*time.Hour), first.ID)
	st.Add(faults.Fault{On: faults.Get, Prefix: "points/" + string(second.ID), Times: 2, Before: faults.ErrInjected})
	a := New(r)
	points, err := a.Points(t.Context(), Disk{})
	if err != nil || len(points) != 2 || points[0].Name != "data" || points[1].ID != second.ID || points[1].Failure == nil || points[1].Failure.Kind != ivd.Transient {
		t.Errorf("%+v, %v", points, err)
	}
	if id, err := a.Resolve(t.Context(), "data@latest", label); ivd.KindOf(err) != ivd.Transient {
		t.Errorf("%s, %v: the newest is not known", id, err)
	}
	if id, err := a.Resolve(t.Context(), "data@latest", label); err != nil || id != second.ID {
		t.Errorf("%s, %v", id, err)
	}
}

// A point that was forgotten is not the last one, nor meant by its disk's name; its ids
// find it. The last good one of a disk stays, and so does one that is pinned.
func TestForgottenPoints(t *testing.T) {
	r := repotest.New(t)
	evening := time.Date(2026, 11, 24, 23, 15, 2, 0, time.UTC)
	first := commit(t, r.Repository, evening, "")
	second := commit(t, r.Repository, evening.Add(24*time.Hour), first.ID)
	a := New(r.Repository)
	label := func(s ivd.SourceID) string { return string(s) }
	want := func(last, givenUp ivd.PointID) {
		t.Helper()
		if all, err := a.Last(t.Context()); err != nil || all[Disk{"lab", disk}] != last {
			t.Errorf("the last point is %v, %v, want %s", all, err, last)
		}
		if id, err := a.Resolve(t.Context(), "data@latest", label); err != nil || id != last {
			t.Errorf("data@latest is %s, %v, want %s", id, err, last)
		}
		for _, id := range []ivd.PointID{first.ID, second.ID} {
			if got, err := a.Resolve(t.Context(), Short(id), label); err != nil || got != id {
				t.Errorf("%s is %s, %v", Short(id), got, err)
			}
			if p, err := a.Among(t.Context(), id); err != nil || p.GivenUp != (id == givenUp) {
				t.Errorf("%s is given up: %t, %v", id, p.GivenUp, err)
			}
		}
	}
	want(second.ID, "")
	for _, id := range []ivd.PointID{second.ID, first.ID} {
		if err := r.Forget(t.Context(), format.Forgotten{Point: id, Reason: "a test"}); err != nil {
			t.Fatal(err)
		}
		if id == second.ID {
			want(first.ID, second.ID)
		}
	}
	if points, err := a.Points(t.Context(), Disk{}); err != nil || points[1].GivenUp || !points[0].GivenUp {
		t.Errorf("with both forgotten: %+v, %v", points, err)
	}
	if all, err := a.Last(t.Context()); err != nil || all[Disk{"lab", disk}] != second.ID {
		t.Errorf("with both forgotten, the last point is %v, %v", all, err)
	}
	if err := r.Pin(t.Context(), first.ID, ""); err != nil {
		t.Fatal(err)
	}
	want(first.ID, second.ID)
	none := ivd.NewPointID(r.Domain(), "lab", disk, evening, "none")
	if _, err := a.Among(t.Context(), none); ivd.KindOf(err) != ivd.NotFound {
		t.Error(err)
	}
}
