package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"ivdmover/coordinator/cli"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo/repotest"
)

// A host that has no key reads every pack of an encrypted repository, of both kinds, and
// finds a byte that is another.
func TestVerifyKeyless(t *testing.T) {
	t.Parallel()
	r := repotest.Sealed(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: 8 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	for i := range int64(8) {
		if _, err := d.WriteAt([]byte("content"), i*ivd.MinChunkSize+i); err != nil {
			t.Fatal(err)
		}
	}
	p := r.Save(d, repotest.Layout{ChunksPerPack: 4})
	config := filepath.Join(t.TempDir(), "ivd.yaml")
	if err := os.WriteFile(config, []byte("repository: { url: 'dir://"+r.Dir+"' }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	scrub := func(status, damaged int) {
		t.Helper()
		code, out, errs := do(t.Context(), cli.Extra{}, "verify", "--keyless", "--config", config, "-o", "json")
		var got struct {
			Packs   int          `json:"packs"`
			Damaged []ivd.Damage `json:"damaged"`
		}
		if err := json.Unmarshal([]byte(out), &got); code != status || err != nil || got.Packs < 3 || len(got.Damaged) != damaged {
			t.Errorf("%d, want %d and %d damaged: %s%s", code, status, damaged, out, errs)
		}
	}
	scrub(0, 0)
	r.Damage(format.DataPack, r.Place(d, 0).Pack, 200)
	scrub(1, 1)
	r.Damage(format.IndexPack, p.Pages[0].Place.Pack, 100)
	scrub(1, 2)
}
