package repo_test

import (
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
	"ivdmover/shared/store/faults"
	"ivdmover/shared/store/s3"
	"ivdmover/shared/store/storetest"
)

// lockingStore is a bucket with object lock, whose objects are locked for two days; the
// calls of it are counted.
func lockingStore(t *testing.T) *faults.Store {
	t.Helper()
	service := storetest.S3WithLocks(t)
	st, err := s3.Open(t.Context(), s3.Config{
		Endpoint: service.Endpoint, Bucket: service.Bucket, AccessKey: service.AccessKey, SecretKey: service.SecretKey,
		Locks: store.Locks{For: 48 * time.Hour},
	})
	must(t, err)
	return faults.New(t, st)
}

// All that a point needs is locked before it is committed, and the point says until when.
// What its run has stored is not locked a second time; an old pack that is used again
// costs one request in a generation, and none where the parent was of the same one.
func TestPointsAreProtected(t *testing.T) {
	st := lockingStore(t)
	r, err := repo.Init(t.Context(), st, repo.InitOptions{})
	must(t, err)
	l := lease(t, r, repo.LeaseSpec{Kind: repo.WriteLease, Run: "run-1"})
	w, err := r.NewWriter(l, ivd.NewWriterID(), "proxy-1")
	must(t, err)
	x := plant(t, r, w)
	first, sum, err := r.ReadPoint(t.Context(), x.point.ID)
	must(t, err)
	locks := st.Properties().Locks
	if !first.ProtectedUntil.Equal(locks.Until(first.SealedAt)) {
		t.Errorf("protected until %s, want %s", first.ProtectedUntil, locks.Until(first.SealedAt))
	}
	if n := st.Calls(faults.Lock); n != 1 { // repo.json
		t.Errorf("of what a run has stored %d objects were locked once more", n-1)
	}
	needed := 0
	for o, err := range st.List(t.Context(), "") {
		must(t, err)
		until, err := st.LockedUntil(t.Context(), o.Name)
		must(t, err)
		if locked := !until.Before(first.ProtectedUntil); locked != store.Locked(o.Name) {
			t.Errorf("%s is locked until %s", o.Name, until)
		}
		if store.Locked(o.Name) {
			needed++
		}
	}
	packs := needed - 2 // repo.json, the point: packs and the writer's record are left
	commitAgain := func(run ivd.RunID, sealed time.Time, parent *format.PointParent) int {
		t.Helper()
		r, err := repo.Open(t.Context(), st) // another process
		must(t, err)
		p := x.point
		p.Run, p.SealedAt, p.Parent = run, sealed, parent
		p.ID = ivd.NewPointID(r.Domain(), source, disk, p.Time, run)
		before := st.Calls(faults.Lock)
		must(t, commit(r, t.Context(), lease(t, r, repo.LeaseSpec{Kind: repo.WriteLease}), p))
		return st.Calls(faults.Lock) - before
	}
	parent := &format.PointParent{Point: first.ID, Sum: sum}
	next := first.SealedAt.Add(locks.Generation())
	for _, c := range []struct {
		what   string
		run    ivd.RunID
		sealed time.Time
		parent *format.PointParent
		want   int
	}{
		{"upon a parent of the same generation", "run-2", first.SealedAt, parent, 1},
		{"upon nothing", "run-3", first.SealedAt, nil, 1 + packs},
		{"in the next generation", "run-4", next, parent, 1 + packs},
		{"upon a parent that is not what was read", "run-5", first.SealedAt, &format.PointParent{Point: first.ID}, 1 + packs},
	} {
		if n := commitAgain(c.run, c.sealed, c.parent); n != c.want {
			t.Errorf("%s: %d objects were locked, want %d", c.what, n, c.want)
		}
	}
	if until, err := st.LockedUntil(t.Context(), r.PackName(format.DataPack, x.data[0])); err != nil || !until.Equal(locks.Until(next)) {
		t.Errorf("a pack of the next generation is locked until %s, want %s: %v", until, locks.Until(next), err)
	}
	// What cannot be locked is not committed.
	st.Add(faults.Fault{On: faults.Lock, Prefix: "data/", Times: faults.Always, Before: ivd.Errorf(ivd.Denied, "no right to lock")})
	p := x.point
	p.Run, p.SealedAt = "run-6", next.Add(locks.Generation())
	p.ID = ivd.NewPointID(r.Domain(), source, disk, p.Time, p.Run)
	wantKind(t, commit(r, t.Context(), l, p), ivd.Denied, "no right to lock")
	_, _, err = r.ReadPoint(t.Context(), p.ID)
	wantKind(t, err, ivd.NotFound)
}
