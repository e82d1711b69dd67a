package worker

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"ivdmover/shared/budget"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store/faults"
)

// What may not be built on is read once for all jobs of a lease, and counts in the
// memory of the jobs as long as it is kept.
func TestListsAreReadOncePerLease(t *testing.T) {
	t.Parallel()
	r := repotest.New(t)
	r.Condemn(make([]ivd.PackID, 1)) // of one pack, twice: it counts once
	r.Condemn([]ivd.PackID{{}, {1}, {2}})
	m := budget.NewMemory(1<<20, nil)
	w := newWriters(Options{Repository: r.Repository, Name: "m", DedupMemory: 1 << 20, Memory: m, Log: slog.Default()})
	first := r.Lease(repo.WriteLease)
	before := r.Store.Calls(faults.List)
	jobs := 0
	use := func(lease ivd.LeaseID) (l *leased, release func()) {
		t.Helper()
		jobs++
		l, release, err := w.get(t.Context(), lease, job.Claim{Run: "run-1", Job: ivd.JobID(fmt.Sprint(jobs))})
		if err != nil {
			t.Fatal(err)
		}
		return l, release
	}
	a, release := use(first.ID)
	lists := r.Store.Calls(faults.List) - before
	for range 20 {
		b, release := use(first.ID)
		release()
		if b != a {
			t.Fatal("another writer under the same lease")
		}
	}
	if n := r.Store.Calls(faults.List) - before; n != lists {
		t.Errorf("21 jobs list %d folders, one lists %d", n, lists)
	}
	const size = 3 * int64(len(ivd.PackID{}))
	if m.Used() != size {
		t.Errorf("%d bytes are in use, want %d", m.Used(), size)
	}
	second := r.Lease(repo.WriteLease)
	_, releaseSecond := use(second.ID)
	if m.Used() != 2*size {
		t.Errorf("%d bytes are in use while both are, want %d", m.Used(), 2*size)
	}
	release()
	releaseSecond()
	use(r.Lease(repo.WriteLease).ID)
	if m.Used() != size {
		t.Errorf("%d bytes are in use when two were let go, want %d", m.Used(), size)
	}
}

// The jobs of one restore open its point once between them, as long as their lease
// lasts.
func TestPointIsOpenedOncePerLease(t *testing.T) {
	t.Parallel()
	r := repotest.New(t)
	p := r.Save(repotest.NewDisk(ivd.Geometry{Capacity: 1 << 20, ChunkSize: ivd.MinChunkSize}), repotest.Layout{})
	s := readers{repository: r.Repository, open: map[readKey]opened{}}
	lease := r.LeaseOf(repo.ReadLease, 2*time.Hour)
	restoring := &job.Job{Restore: &job.RestoreSpec{Point: p.ID, Pages: p.Pages}}
	get := func(lease ivd.LeaseID) int {
		t.Helper()
		before := r.Store.Calls(faults.List)
		l, got, err := s.get(t.Context(), lease, p.ID, restoring)
		if err != nil || l.ID != lease || got.ID != p.ID {
			t.Fatalf("%+v, %+v, %v", l, got.ID, err)
		}
		return r.Store.Calls(faults.List) - before
	}
	if n := get(lease.ID); n != 1 {
		t.Errorf("the first job lists %d folders", n)
	}
	if n := get(lease.ID); n != 0 {
		t.Errorf("the next one lists %d", n)
	}
	if n := get(r.Lease(repo.ReadLease).ID); n != 1 {
		t.Errorf("under another lease it lists %d", n)
	}
	r.Pass(3 * time.Hour)
	if _, _, err := s.get(t.Context(), lease.ID, p.ID, restoring); ivd.KindOf(err) != ivd.Expired {
		t.Errorf("when the lease is over: %v", err)
	}
}
