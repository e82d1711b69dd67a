package repo_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/trust"
)

// Mutants of this package that live: of program what it does with a revision, since a
// test's binary knows none; of proveLate the least wait between two questions, which
// changes how often the store is asked and not what is found; of replaceInfo the bound
// of the generation, since what has the same generation is the same.

func TestInitAndOpen(t *testing.T) {
	b := newBucket()
	_, err := repo.Open(t.Context(), b)
	wantKind(t, err, ivd.NotFound)
	if !strings.Contains(ivd.RemedyOf(err), "ivd repo init") {
		t.Fatalf("remedy %q", ivd.RemedyOf(err))
	}
	_, err = repo.Init(t.Context(), b, repo.InitOptions{ChunkSize: 1000})
	wantKind(t, err, ivd.Invalid, "1000")
	_, err = repo.Init(t.Context(), b, repo.InitOptions{PackSize: 1 << 20})
	wantKind(t, err, ivd.Invalid, "pack size 1048576")
	r, err := repo.Init(t.Context(), b, repo.InitOptions{ChunkSize: 1 << 20, PackSize: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	again, err := repo.Open(t.Context(), b)
	if err != nil || !reflect.DeepEqual(again.Info(), r.Info()) || again.Geometry(5).ChunkSize != 1<<20 || again.PackSize() != 64<<20 || again.Domain().IsZero() {
		t.Fatalf("opened %+v, made %+v: %v", again.Info(), r.Info(), err)
	}
	_, err = repo.Init(t.Context(), b, repo.InitOptions{})
	wantKind(t, err, ivd.Exists, "memory")
	if now, err := repo.Open(t.Context(), b); err != nil || now.ID() != r.ID() {
		t.Fatalf("the second init changed the repository: %v", err)
	}
}

func TestGeometry(t *testing.T) {
	_, r := made(t)
	if g := r.Geometry(1 << 30); g.ChunkSize != ivd.DefaultChunkSize {
		t.Errorf("a small disk has chunks of %d", g.ChunkSize)
	}
	if g := r.Geometry(ivd.LargeDisk + 1); g.ChunkSize != ivd.LargeChunkSize {
		t.Errorf("a large disk has chunks of %d", g.ChunkSize)
	}
}

// A creation that happened though it was answered with an error has happened.
func TestInitInDoubt(t *testing.T) {
	b := newBucket()
	b.after = func(op, _ string) error {
		if op == "send" {
			return errOutage
		}
		return nil
	}
	if _, err := repo.Init(t.Context(), b, repo.InitOptions{}); err != nil {
		t.Fatal(err)
	}
	b = newBucket()
	b.fail("send", "repo.json")
	_, err := repo.Init(t.Context(), b, repo.InitOptions{})
	wantKind(t, err, ivd.Transient)
}

// goodInfo is a repository's description that is in order.
func goodInfo() repo.Info {
	return repo.Info{
		Version: 1, ID: "6b1f2d0e-7a53-4c1d-9e0f-2b8c5d4a3f21", Domain: ivd.DomainID{1}, Hash: "blake3-256", Cipher: "none",
		PackSize: 16 << 20, Generation: 1, Incarnation: "i-1",
	}
}

// describe stores a description.
func describe(t *testing.T, b *bucket, info repo.Info) {
	t.Helper()
	body, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	b.put("repo.json", body)
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*repo.Info)
		kind   ivd.Kind
		says   string
	}{
		"a newer format":    {func(i *repo.Info) { i.Version = 7 }, ivd.Unsupported, "version 7"},
		"another hash":      {func(i *repo.Info) { i.Hash = "sha256" }, ivd.Unsupported, "sha256"},
		"a cipher":          {func(i *repo.Info) { i.Cipher = "aes-256-gcm" }, ivd.Unsupported, "aes-256-gcm"},
		"a feature":         {func(i *repo.Info) { i.Features.Read = []string{"tapes"} }, ivd.Unsupported, "tapes"},
		"huge packs":        {func(i *repo.Info) { i.PackSize = 1 << 30 }, ivd.Unsupported, "pack size"},
		"tiny packs":        {func(i *repo.Info) { i.PackSize = 1 << 10 }, ivd.Unsupported, "pack size"},
		"no version":        {func(i *repo.Info) { i.Version = 0 }, ivd.Unsupported, "version 0"},
		"no id":             {func(i *repo.Info) { i.ID = "mine" }, ivd.Corrupt, "mine"},
		"no domain":         {func(i *repo.Info) { i.Domain = ivd.DomainID{} }, ivd.Corrupt, "domain"},
		"no generation":     {func(i *repo.Info) { i.Generation = 0 }, ivd.Corrupt, "generation 0"},
		"no incarnation":    {func(i *repo.Info) { i.Incarnation = "" }, ivd.Corrupt, "incarnation"},
		"an odd chunk size": {func(i *repo.Info) { i.ChunkSize = 3 }, ivd.Corrupt, "chunk size 3"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBucket()
			info := goodInfo()
			c.change(&info)
			describe(t, b, info)
			_, err := repo.Open(t.Context(), b)
			wantKind(t, err, c.kind, c.says, "repo.json")
		})
	}
	b := newBucket()
	b.put("repo.json", []byte(`{"version":1,"features":{"read":["tapes"]},"domain":7}`))
	_, err := repo.Open(t.Context(), b)
	wantKind(t, err, ivd.Unsupported, "tapes") // before what such a repository may have otherwise
	b.put("repo.json", []byte(`{"version":1,"Version":1}`))
	_, err = repo.Open(t.Context(), b)
	wantKind(t, err, ivd.Corrupt, "case")
	b.put("repo.json", []byte("{"))
	_, err = repo.Open(t.Context(), b)
	wantKind(t, err, ivd.Corrupt, "repo.json")
	b.fail("get", "repo.json")
	_, err = repo.Open(t.Context(), b)
	wantKind(t, err, ivd.Transient)
	_, err = repo.Init(t.Context(), b, repo.InitOptions{})
	wantKind(t, err, ivd.Exists) // what is there is not replaced, whatever it is
}

// Who does not know a feature does less: what it was promised to leave alone.
func TestFeatures(t *testing.T) {
	b, r := made(t)
	x := plant(t, r, writerOf(t, r))
	read := lease(t, r, repo.LeaseSpec{Kind: repo.ReadLease})
	write := lease(t, r, repo.LeaseSpec{})
	info := r.Info()
	info.Generation++
	info.Features.Collect = []string{"sieve"}
	describe(t, b, info)
	lease(t, r, repo.LeaseSpec{}) // which reads it anew
	if err := r.Info().Allows(repo.Writing); err != nil {
		t.Fatal(err)
	}
	wantKind(t, r.Info().Allows(repo.Collecting), ivd.Unsupported, "sieve", "collect")

	info.Generation++
	info.Features.Write = []string{"quill"}
	describe(t, b, info)
	_, err := r.OpenLease(t.Context(), repo.LeaseSpec{})
	wantKind(t, err, ivd.Unsupported, "quill")
	_, err = trust.Open(t.Context(), r, write.ID, trust.Recheck)
	wantKind(t, err, ivd.Unsupported, "quill")
	if _, _, err := r.OpenPoint(t.Context(), lease(t, r, repo.LeaseSpec{Kind: repo.ReadLease}).ID, x.point.ID); err != nil {
		t.Fatal(err)
	}
	if again, err := repo.Open(t.Context(), b); err != nil || again.Info().Generation != info.Generation {
		t.Fatal(err)
	}

	info.Generation++
	info.Features.Read = []string{"tapes"}
	describe(t, b, info)
	_, _, err = r.OpenPoint(t.Context(), read.ID, x.point.ID)
	wantKind(t, err, ivd.Unsupported, "tapes")
	_, err = r.OpenPointWithoutLease(t.Context(), x.point.ID)
	wantKind(t, err, ivd.Unsupported, "tapes")
	_, err = repo.Open(t.Context(), b)
	wantKind(t, err, ivd.Unsupported, "tapes")
}

// Whoever has seen a generation refuses what is older, or another repository.
func TestGenerations(t *testing.T) {
	b, r := made(t)
	first := r.Info()
	info := first
	info.Generation = 5
	describe(t, b, info)
	lease(t, r, repo.LeaseSpec{})
	if r.Info().Generation != 5 {
		t.Fatalf("generation %d", r.Info().Generation)
	}
	describe(t, b, first)
	_, err := r.OpenLease(t.Context(), repo.LeaseSpec{})
	wantKind(t, err, ivd.Permanent, "generation 1", "generation 5")
	other := info
	other.Incarnation = "another, without a new generation"
	describe(t, b, other)
	_, err = r.OpenLease(t.Context(), repo.LeaseSpec{Kind: repo.ReadLease})
	wantKind(t, err, ivd.Permanent, "incarnation")
	other = goodInfo()
	other.Generation = 9
	describe(t, b, other)
	_, err = r.OpenLease(t.Context(), repo.LeaseSpec{})
	wantKind(t, err, ivd.Permanent, other.ID)
	b.fail("get", "repo.json")
	_, err = r.OpenLease(t.Context(), repo.LeaseSpec{})
	wantKind(t, err, ivd.Transient)
}

// What was known in another incarnation counts no longer, and nothing goes on under
// a lease of it.
func TestIncarnations(t *testing.T) {
	b, r := made(t)
	x := plant(t, r, writerOf(t, r))
	old := lease(t, r, repo.LeaseSpec{})
	at := r.Now()
	if known := r.KnownAt(at, old.Incarnation); !known.Equal(at) {
		t.Fatalf("known at %s", known)
	}
	info := r.Info()
	info.Generation++
	info.Incarnation = ivd.NewIncarnationID()
	describe(t, b, info)
	_, err := trust.Open(t.Context(), r, old.ID, trust.Recheck)
	wantKind(t, err, ivd.Expired, string(old.Incarnation), string(info.Incarnation))
	_, _, err = r.OpenPoint(t.Context(), old.ID, x.point.ID)
	wantKind(t, err, ivd.Expired)
	w, err := trust.Open(t.Context(), r, lease(t, r, repo.LeaseSpec{}).ID, trust.Recheck)
	if err != nil {
		t.Fatal(err)
	}
	known := r.KnownAt(at, old.Incarnation)
	if !known.IsZero() {
		t.Fatalf("known at %s", known)
	}
	b.forget()
	gone := ivd.PackID{1}
	bad, err := w.Packs(t.Context(), map[ivd.PackID]format.PackKind{x.data[0]: format.DataPack, gone: format.DataPack}, known)
	if err != nil || len(bad) != 1 || bad[0] != gone {
		t.Fatalf("of a pack that is there and one that is not: %v, %v", bad, err)
	}
	if len(b.did()) < 2 {
		t.Fatalf("the store was not asked: %q", b.did())
	}
}

func TestPackSize(t *testing.T) {
	for o, want := range map[repo.InitOptions]int64{
		{}: 16 << 20, {ExpectedSize: 50<<40 - 1}: 16 << 20, {ExpectedSize: 50 << 40}: 64 << 20,
		{ExpectedSize: 50 << 40, PackSize: 256 << 20}: 256 << 20, {PackSize: 257 << 20}: 0, {PackSize: 1}: 0,
	} {
		r, err := repo.Init(t.Context(), newBucket(), o)
		if want == 0 {
			wantKind(t, err, ivd.Invalid, "pack size")
		} else if err != nil || r.Info().PackSize != want {
			t.Errorf("%+v makes packs of %d: %v", o, r.Info().PackSize, err)
		}
	}
}

func TestRuns(t *testing.T) {
	b, r := made(t)
	for _, id := range []ivd.RunID{"run-1", "run-2"} {
		run := format.Run{ID: id, Sequence: 1, Kind: "backup", State: "done", Started: r.Now().UTC(), Points: []format.RunPoint{{Point: ivd.NewPointID(r.Domain(), source, disk, r.Now(), id), Mode: format.ReadInUse}}}
		if err := r.PutRun(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	found := map[ivd.RunID]bool{}
	for id, err := range r.Runs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		run, err := r.ReadRun(t.Context(), id)
		if err != nil || run.ID != id || run.Points[0].Point.Run() != id || run.Incarnation != r.Incarnation() {
			t.Fatalf("%+v: %v", run, err)
		}
		found[id] = true
	}
	if len(found) != 2 || !found["run-1"] || !found["run-2"] {
		t.Fatalf("runs %v", found)
	}
	wantKind(t, r.PutRun(t.Context(), format.Run{ID: "run-3", Sequence: 1, Kind: "dream"}), ivd.Invalid)
	name := "runs/" + r.Domain().String() + "/run-1"
	b.put(storeName(name), []byte("IVDSUMMA and no more"))
	_, err := r.ReadRun(t.Context(), "run-1")
	wantKind(t, err, ivd.Corrupt, name)
}
