package repo_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"ivdmover/shared/config"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
	"ivdmover/shared/store/open"
	"ivdmover/shared/store/storetest"
	"ivdmover/shared/trust"
)

func folderStore(t *testing.T) store.Store {
	t.Helper()
	st, err := open.Open(t.Context(), config.Repository{URL: "dir://" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func bucketStore(t *testing.T) store.Store {
	t.Helper()
	s := storetest.S3(t)
	t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKey.Reveal())
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretKey.Reveal())
	pathStyle := true
	st, err := open.Open(t.Context(), config.Repository{URL: "s3://" + s.Bucket + "/estate", Endpoint: s.Endpoint, PathStyle: &pathStyle, Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// The story of a repository, on the stores that people use.
func TestRealStores(t *testing.T) {
	for name, openStore := range map[string]func(*testing.T) store.Store{"dir": folderStore, "s3": bucketStore} {
		t.Run(name, func(t *testing.T) {
			st := openStore(t)
			_, err := repo.Open(t.Context(), st)
			wantKind(t, err, ivd.NotFound)
			if _, err := repo.Init(t.Context(), st, repo.InitOptions{}); err != nil {
				t.Fatal(err)
			}
			_, err = repo.Init(t.Context(), st, repo.InitOptions{})
			wantKind(t, err, ivd.Exists)
			r, err := repo.Open(t.Context(), st)
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Since(r.Now()).Abs(); d > time.Minute {
				t.Fatalf("the store's clock is %s off", d)
			}
			x := plant(t, r, writerOf(t, r))
			readBack(t, r, x)
			trustReal(t, st, r, x)
			raceCommit(t, r)
		})
	}
}

func readBack(t *testing.T, r *repo.Repository, x tree) {
	t.Helper()
	got := map[ivd.ChunkIndex][]byte{}
	readPoint(t, r, x.point.ID, got)
	for chunk, first := range map[ivd.ChunkIndex]byte{5: 0, ivd.ChunksPerSpan + 7: 1, 2*ivd.ChunksPerSpan + 1: 0, 2*ivd.ChunksPerSpan + 2: 1} {
		if len(got[chunk]) == 0 || got[chunk][0] != first {
			t.Errorf("chunk %d is %d bytes", chunk, len(got[chunk]))
		}
	}
	if len(got) != 4 {
		t.Errorf("%d chunks", len(got))
	}
	_, _, err := r.OpenPoint(t.Context(), "none", x.point.ID)
	wantKind(t, err, ivd.Expired)
}

func trustOf(t *testing.T, r *repo.Repository) *trust.Trust {
	t.Helper()
	w, err := trust.Open(t.Context(), r, lease(t, r, repo.LeaseSpec{Kind: repo.WriteLease}).ID, trust.Recheck)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// trustReal asks for packs, and puts one on a list.
func trustReal(t *testing.T, st store.Store, r *repo.Repository, x tree) {
	t.Helper()
	w := trustOf(t, r)
	long := r.Now().Add(-30 * 24 * time.Hour)
	packs := map[ivd.PackID]format.PackKind{x.data[0]: format.DataPack, x.home: format.IndexPack, {1}: format.DataPack}
	if bad, err := w.Packs(t.Context(), packs, long); err != nil || !slices.Equal(bad, []ivd.PackID{{1}}) {
		t.Errorf("not trusted: %v, %v", bad, err)
	}
	list := folder(r, "collect") + "n/condemned"
	body, err := format.Condemned{Head: headOf(r, list), Packs: []ivd.PackID{x.data[0]}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Put(t.Context(), store.Name(list), body); err != nil {
		t.Fatal(err)
	}
	w = trustOf(t, r)
	p, err := w.ParentPage(t.Context(), x.point.Pages[0], trust.Taking{SealedAt: r.Now(), Parent: geometry, Child: geometry})
	if err != nil {
		t.Fatal(err)
	}
	if p.Takeable(0) || !p.Takeable(1) || p.Takeable(2) {
		t.Error("a span that needs a condemned pack is taken over")
	}
	if err := st.Delete(t.Context(), store.Name(list)); err != nil {
		t.Fatal(err)
	}
}

// Two coordinators commit one point, each under its own lease: one of them has
// committed it, and both know which.
func raceCommit(t *testing.T, r *repo.Repository) {
	t.Helper()
	leases := [4]repo.Lease{}
	for i := range leases {
		leases[i] = lease(t, r, repo.LeaseSpec{Kind: repo.WriteLease})
	}
	p := point(r, "raced")
	p.Run = "run-2"
	p.ID = ivd.NewPointID(r.Domain(), source, disk, p.Time, p.Run)
	var wg sync.WaitGroup
	errs := [len(leases)]error{}
	for i, l := range leases {
		wg.Go(func() { errs[i] = commit(r, t.Context(), l, p) })
	}
	wg.Wait()
	got, _, err := r.ReadPoint(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range leases {
		if won := got.Lease == l.ID; won != (errs[i] == nil) {
			t.Errorf("commit under lease %d: won %t, answer %v", i, won, errs[i])
		}
		if errs[i] != nil {
			wantKind(t, errs[i], ivd.Exists)
		}
	}
	// A lease that was ended commits nothing, and what it had prepared is dead.
	late := leases[0]
	if err := r.EndLease(t.Context(), late.ID); err != nil {
		t.Fatal(err)
	}
	p.Run = "run-3"
	p.ID = ivd.NewPointID(r.Domain(), source, disk, p.Time, p.Run)
	wantKind(t, commit(r, t.Context(), late, p), ivd.Expired)
	_, _, err = r.ReadPoint(t.Context(), p.ID)
	wantKind(t, err, ivd.NotFound)
}
