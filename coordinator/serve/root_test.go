package serve

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"ivdmover/shared/ivd"
)

// Movers that share the state folder learn the root key of an encrypted repository from
// it; of a plain one nothing is there.
func TestRootIsToldBesideTheState(t *testing.T) {
	file := filepath.Join(t.TempDir(), "repository.root")
	root := ivd.KeyID{0xab}
	for _, id := range []ivd.KeyID{{}, root, root, {}} {
		if err := tellRoot(file, id); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if want := id.String() + "\n"; id.IsZero() != errors.Is(err, fs.ErrNotExist) || err == nil && string(text) != want {
			t.Errorf("of %s it says %q, %v", id, text, err)
		}
	}
}
