package collect_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/collect"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
	"ivdmover/shared/store/s3"
	"ivdmover/shared/store/storetest"
)

func openS3(t *testing.T, s storetest.Service, locks store.Locks) *s3.Store {
	t.Helper()
	st, err := s3.Open(t.Context(), s3.Config{Endpoint: s.Endpoint, Bucket: s.Bucket, AccessKey: s.AccessKey, SecretKey: s.SecretKey, Locks: locks})
	must(t, err)
	return st
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lockedEstate is a repository in a bucket with object lock: of a disk two points that
// share nothing, the first of which is forgotten, and a pack that no point names.
func lockedEstate(t *testing.T, st store.Store) (r *repo.Repository, old, fresh ivd.PointID) {
	t.Helper()
	r, err := repo.Init(t.Context(), st, repo.InitOptions{})
	must(t, err)
	has, ids := map[ivd.PointID]image{}, []ivd.PointID{}
	for i, run := range []ivd.RunID{"run-1", "run-2"} {
		b := &backup{
			r: r, mem: &memory{places: map[byte]known{}}, disk: "disk-1", run: run, at: time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC),
			child: func(image) image {
				now := image{}
				for k, p := range places {
					now[p] = byte(1 + i*len(places) + k)
				}
				return now
			},
			want: func(id ivd.PointID, now image) { has[id], ids = maps.Clone(now), append(ids, id) },
			read: func(id ivd.PointID) image { return has[id] },
		}
		must(t, b.Run(t.Context()))
	}
	l, err := r.OpenLease(t.Context(), repo.LeaseSpec{Owner: "a run that fails"})
	must(t, err)
	w, err := r.NewWriter(l, ivd.NewWriterID(), "mover")
	must(t, err)
	_, _, _, err = w.PutPack(t.Context(), w.NewPack(format.DataPack))
	must(t, err)
	must(t, r.EndLease(t.Context(), l.ID))
	must(t, r.Forget(t.Context(), format.Forgotten{Point: ids[0], Reason: "a test"}))
	return r, ids[0], ids[1]
}

// Locked means later: a collection leaves what is locked, whole and in sight, says so,
// and takes it once the locks have ended, with all versions.
func TestLockedMeansLater(t *testing.T) {
	service := storetest.S3WithLocks(t)
	_, old, fresh := lockedEstate(t, openS3(t, service, store.Locks{For: 48 * time.Hour}))
	run := func(locks store.Locks) (*repo.Repository, collect.Report) {
		t.Helper()
		r, err := repo.Open(t.Context(), openS3(t, service, locks))
		must(t, err)
		rep, err := collect.New(r, collect.Options{MinAge: -time.Hour, MaxShare: 1}).Collect(t.Context())
		must(t, err)
		return r, rep
	}
	before := len(service.Versions(t))
	for what, locks := range map[string]store.Locks{"as it was locked": {For: 48 * time.Hour}, "by who knows nothing of locks": {}} {
		r, rep := run(locks)
		if rep.Locked != 1 || rep.Condemned != (collect.Counts{}) || rep.Deleted != (collect.Counts{}) || rep.List != "" {
			t.Errorf("%s: %+v", what, rep)
		}
		if len(rep.Kept) != 1 || rep.Kept[0].Point != old || !strings.Contains(rep.Kept[0].Why, "locked in the store until") {
			t.Errorf("%s: points that stay: %+v", what, rep.Kept)
		}
		if _, _, err := r.ReadPoint(t.Context(), old); err != nil {
			t.Errorf("%s: a locked point: %v", what, err)
		}
		if n := len(service.Versions(t)); n != before {
			t.Errorf("%s: %d versions and markers, and there were %d", what, n, before)
		}
	}
	service.EndLocks(t)
	r, rep := run(store.Locks{})
	if rep.Locked != 0 || rep.Deleted.Points != 1 || rep.Deleted.Packs < 3 || rep.VersionsKept != "" {
		t.Errorf("once the locks have ended: %+v", rep)
	}
	_, _, err := r.ReadPoint(t.Context(), old)
	if ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("the point that was given up: %v", err)
	}
	p, _, err := r.ReadPoint(t.Context(), fresh)
	must(t, err)
	_, err = r.Page(t.Context(), p.Pages[0], p.Geometry)
	must(t, err)
	packs := 0
	for _, v := range service.Versions(t) {
		if strings.HasPrefix(v.Key, "data/") || strings.HasPrefix(v.Key, "index/") {
			packs++
		}
		if v.Marker || strings.Contains(v.Key, string(old)) {
			t.Errorf("left: %+v", v)
		}
	}
	stored := 0
	for _, err := range r.Packs(t.Context()) {
		must(t, err)
		stored++
	}
	if packs != stored {
		t.Errorf("%d packs, and %d versions of packs", stored, packs)
	}
}
