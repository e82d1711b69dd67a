package disk

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
)

// TestAReaderLooksAgain overwrites a block after a reader found that no snapshot
// had saved it, and before it reads the present content.
func TestAReaderLooksAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.vmdk")
	if err := Create(path, 4*BlockSize); err != nil {
		t.Fatal(err)
	}
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	then := bytes.Repeat([]byte{1}, 4*BlockSize)
	if err := errors.Join(d.WriteAt(then, 0), d.Snapshot("a")); err != nil {
		t.Fatal(err)
	}
	if owner, _, err := ownerRun(d.layers, 0, 4); owner != -1 || err != nil {
		t.Fatalf("owner %d, %v", owner, err)
	}
	if err := d.WriteAt([]byte{2}, BlockSize+5); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(then))
	if err := readPresent(d.layers, d.content, got, 0); err != nil || !bytes.Equal(got, then) {
		t.Fatalf("the snapshot changed: %v", err)
	}
}
