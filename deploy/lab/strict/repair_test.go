package strict_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ivdmover/vddk"
)

// The descriptor that the laboratory writes for a disk is sound; one that says
// another length is repaired where that is asked for; one that is no text of its
// kind, and one whose disk is gone, are not.
func TestCheckRepair(t *testing.T) {
	w := newWorld(t, 2*mib)
	file := filepath.Join(w.dir, "datastores", "datastore1", "fcd", string(w.disk.ID())+".vmdk")
	c, err := lib.Connect(t.Context(), vddk.Params{}, false, "file")
	must(t, err)
	t.Cleanup(func() { must(t, c.Disconnect()) })
	must(t, c.CheckRepair(file, false))
	sound, err := os.ReadFile(file)
	must(t, err)
	put := func(old, changed string) {
		t.Helper()
		text := strings.ReplaceAll(string(sound), old, changed)
		if text == string(sound) {
			t.Fatalf("no %q in %s", old, sound)
		}
		must(t, os.WriteFile(file, []byte(text), 0o600))
	}

	put("RW 4096 ", "RW 9999 ")
	wantCode(t, c.CheckRepair(file, false), 16006)
	must(t, c.CheckRepair(file, true))
	if now, err := os.ReadFile(file); err != nil || string(now) != string(sound) {
		t.Errorf("repaired: %s, %v", now, err)
	}
	put(`"lsilogic"`, "\x00")
	wantCode(t, c.CheckRepair(file, true), 16000)
	put("version=1", "version=99")
	wantCode(t, c.CheckRepair(file, false), 16011)
	put("-flat", "-lost")
	wantCode(t, c.CheckRepair(file, true), 4)

	reader, err := lib.Connect(t.Context(), vddk.Params{}, true, "file")
	must(t, err)
	wantCode(t, reader.CheckRepair(file, true), 11)
	must(t, reader.Disconnect())
	remote, err := lib.Connect(t.Context(), w.at(""), false, "nbdssl")
	must(t, err)
	wantCode(t, remote.CheckRepair(file, false), 6)
	must(t, remote.Disconnect())
}
