package repo_test

import (
	"encoding/json"
	"strings"
	"testing"

	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

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
	if err != nil || again.Info() != r.Info() || again.Geometry(5).ChunkSize != 1<<20 || again.PackSize() != 64<<20 || again.Domain().IsZero() {
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

func TestOpenRefuses(t *testing.T) {
	good := repo.Info{Version: 1, ID: "6b1f2d0e-7a53-4c1d-9e0f-2b8c5d4a3f21", Domain: ivd.DomainID{1}, PackSize: 16 << 20, Hash: "blake3-256", Cipher: "none"}
	for name, c := range map[string]struct {
		change func(*repo.Info)
		kind   ivd.Kind
		says   string
	}{
		"a newer format":    {func(i *repo.Info) { i.Version = 7 }, ivd.Unsupported, "version 7"},
		"another hash":      {func(i *repo.Info) { i.Hash = "sha256" }, ivd.Unsupported, "sha256"},
		"a cipher":          {func(i *repo.Info) { i.Cipher = "aes-256-gcm" }, ivd.Unsupported, "aes-256-gcm"},
		"no version":        {func(i *repo.Info) { i.Version = 0 }, ivd.Corrupt, "version 0"},
		"no id":             {func(i *repo.Info) { i.ID = "mine" }, ivd.Corrupt, "mine"},
		"no domain":         {func(i *repo.Info) { i.Domain = ivd.DomainID{} }, ivd.Corrupt, "no domain"},
		"no pack size":      {func(i *repo.Info) { i.PackSize = 0 }, ivd.Unsupported, "pack size 0"},
		"packs too large":   {func(i *repo.Info) { i.PackSize = 256<<20 + 1 }, ivd.Unsupported, "pack size 268435457"},
		"an odd chunk size": {func(i *repo.Info) { i.ChunkSize = 3 }, ivd.Corrupt, "chunk size 3"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBucket()
			info := good
			c.change(&info)
			body, err := json.Marshal(info)
			if err != nil {
				t.Fatal(err)
			}
			b.put("repo.json", body)
			_, err = repo.Open(t.Context(), b)
			wantKind(t, err, c.kind, c.says, "repo.json")
		})
	}
	b := newBucket()
	b.put("repo.json", []byte("{"))
	_, err := repo.Open(t.Context(), b)
	wantKind(t, err, ivd.Corrupt, "repo.json")
	b.fail("get", "repo.json")
	_, err = repo.Open(t.Context(), b)
	wantKind(t, err, ivd.Transient)
	_, err = repo.Init(t.Context(), b, repo.InitOptions{})
	wantKind(t, err, ivd.Exists) // what is there is not replaced, whatever it is
}

func TestSummaries(t *testing.T) {
	b, r := made(t)
	type summary struct{ Bytes int }
	for run, n := range map[ivd.RunID]int{"run-1": 5, "run-2": 6} {
		if err := r.Summarize(t.Context(), run, summary{n}); err != nil {
			t.Fatal(err)
		}
	}
	found := map[ivd.RunID]int{}
	for run, err := range r.Summaries(t.Context()) {
		var s summary
		if err == nil {
			err = r.ReadSummary(t.Context(), run, &s)
		}
		if err != nil {
			t.Fatal(err)
		}
		found[run] = s.Bytes
	}
	if len(found) != 2 || found["run-1"] != 5 || found["run-2"] != 6 {
		t.Fatalf("summaries %v", found)
	}
	b.put("runs/run-1", []byte("IVDSUMMA and no more"))
	var s summary
	wantKind(t, r.ReadSummary(t.Context(), "run-1", &s), ivd.Corrupt, "runs/run-1")
}
