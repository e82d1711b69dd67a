package repo_test

import (
	"os"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store/dir"
)

// The newest verdict counts, in a plain repository and in an encrypted one.
func TestStoreVerdict(t *testing.T) {
	for name, r := range map[string]*repotest.Repository{"plain": repotest.New(t), "encrypted": repotest.Sealed(t)} {
		t.Run(name, func(t *testing.T) {
			_, err := r.StoreVerdict(t.Context())
			wantKind(t, err, ivd.NotFound)
			for _, outcome := range []format.StoreOutcome{format.StoreBroken, format.StoreKept} {
				if err := r.PutStoreVerdict(t.Context(), []format.StoreFinding{{Name: "list", Required: true, Outcome: outcome}}); err != nil {
					t.Fatal(err)
				}
				v, err := r.StoreVerdict(t.Context())
				if err != nil || len(v.Probes) != 1 || v.Probes[0].Outcome != outcome || v.Checked.IsZero() {
					t.Fatalf("%+v, %v", v, err)
				}
				if broken := outcome == format.StoreBroken; (v.Forbids() != nil) != broken {
					t.Errorf("%s forbids: %v", outcome, v.Forbids())
				}
			}
			if err := r.PutStoreVerdict(t.Context(), nil); err == nil {
				t.Error("a verdict on nothing is stored")
			}
		})
	}
}

// A verdict says nothing of another store, to which the repository was copied.
func TestVerdictOnAnotherStore(t *testing.T) {
	r := repotest.New(t)
	if err := r.PutStoreVerdict(t.Context(), []format.StoreFinding{{Name: "list", Outcome: format.StoreKept}}); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(r.Dir)); err != nil {
		t.Fatal(err)
	}
	st, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := repo.Open(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	_, err = copied.StoreVerdict(t.Context())
	wantKind(t, err, ivd.NotFound, "another store")
}
