package repo_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
)

// goldenSealed is an encrypted repository with an object of each kind, which opens with
// repotest.Passphrase. It must be read for ever.
const goldenSealed = "testdata/sealed-v1"

func TestGoldenUpdateSealed(t *testing.T) {
	r := repotest.Sealed(t)
	writeEverything(t, r) // which must at least be possible
	if !*update {
		return
	}
	if err := os.RemoveAll(goldenSealed); err != nil {
		t.Fatal(err)
	}
	b := loaded(t, r.Dir)
	for _, name := range names(b) {
		path := filepath.Join(goldenSealed, filepath.FromSlash(string(name)))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.body(t, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What was stored in an encrypted repository once is read for ever: every object of it,
// and both points whole.
func TestGoldenSealedRestore(t *testing.T) {
	b, k := loaded(t, goldenSealed), repo.Keys{Passphrase: repotest.Passphrase}
	r := reopen(t, b, k)
	kinds := map[string]bool{}
	for _, name := range names(b) {
		kinds[kindOf(name)] = true
		if err := readObject(t, r, k, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(kinds) < 19 {
		t.Errorf("%d kinds of object: %v", len(kinds), kinds)
	}
	disk := everyDisk(t)
	want := make([]byte, disk.Capacity)
	if _, err := disk.ReadAt(want, 0); err != nil {
		t.Fatal(err)
	}
	disks, err := restore(t, r)
	if err != nil || len(disks) != 2 {
		t.Fatalf("%d points: %v", len(disks), err)
	}
	for id, got := range disks {
		if !bytes.Equal(got, want) {
			t.Errorf("point %s differs", id)
		}
	}
}
