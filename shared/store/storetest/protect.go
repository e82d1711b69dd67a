package storetest

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// WriteProtect has a folder refuse all writes until the test ends: by its mode, or,
// since that keeps nothing from root, by a read-only mount of it on itself.
func WriteProtect(t testing.TB, folder string) {
	t.Helper()
	if os.Geteuid() != 0 {
		chmodFolders(t, folder, 0o500)
		t.Cleanup(func() { chmodFolders(t, folder, 0o700) })
		return
	}
	if err := unix.Mount(folder, folder, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("mount %s: %v", folder, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", folder, err)
		}
	})
	if err := unix.Mount("", folder, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatalf("mount %s read-only: %v", folder, err)
	}
}

func chmodFolders(t testing.TB, folder string, mode fs.FileMode) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		return os.Chmod(path, mode)
	})
	if err != nil {
		t.Fatal(err)
	}
}
