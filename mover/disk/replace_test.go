package disk

import (
	"os"
	"path/filepath"
	"testing"
)

// Where a file cannot be written to its end, the one that is there stays.
func TestReplaceKeepsWhatItCannotReplace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := replace(file, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", file+".next"); err != nil {
		t.Fatal(err)
	}
	if err := replace(file, []byte("new")); err == nil {
		t.Error("a full device took it")
	}
	info, err := os.Lstat(file)
	if err != nil || !info.Mode().IsRegular() {
		t.Fatalf("%v, %v", info, err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "old" {
		t.Errorf("%q, %v", text, err)
	}
}
