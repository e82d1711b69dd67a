package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ivdmover/mover/disk/disktest"
)

// badLibraries are folders that are no distribution of VDDK that a mover can use,
// and a file of settings that VDDK would take and then fail at each disk.
type badLibraries struct{ none, foreign, cut, lonely, torn, old, without, settings string }

func newBadLibraries(t *testing.T, libdir string) badLibraries {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, content []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gcc := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("gcc", append([]string{"-shared", "-fPIC", "-pthread"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("gcc: %v\n%s", err, out)
		}
	}
	b := badLibraries{
		none: filepath.Join(dir, "none"), foreign: filepath.Join(dir, "foreign"), cut: filepath.Join(dir, "cut"),
		lonely: filepath.Join(dir, "lonely"), torn: filepath.Join(dir, "torn"), old: filepath.Join(dir, "old"), without: filepath.Join(dir, "without"), settings: filepath.Join(dir, "vddk.conf"),
	}
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	head := program[:4096]
	put("none/doc/README", nil)
	put("cut/lib64/libvixDiskLib.so.8", head[:16])
	put("vddk.conf", []byte("vixDiskLib.nfcAio.Session.BufSizeIn64KB=256\n"))
	copy(program[18:], []byte{0xb7, 0}) // EM_AARCH64
	put("foreign/lib64/libvixDiskLib.so.9", program)
	put("lonely/lib64/README", nil)
	put("old/lib64/README", nil)
	// The stranger has none of the functions that came with 6.7.
	stranger := filepath.Join("..", "vddk", "stranger", "stranger.c")
	gcc("-Wl,-soname,libvixDiskLib.so.6", "-o", filepath.Join(b.old, "lib64", "libvixDiskLib.so.6.5.4"), stranger)
	if err := os.Symlink("libvixDiskLib.so.6.5.4", filepath.Join(b.old, "lib64", "libvixDiskLib.so.6")); err != nil {
		t.Fatal(err)
	}
	companion := filepath.Join(dir, "libcompanion.so.1")
	gcc("-Wl,-soname,libcompanion.so.1", "-o", companion, "-xc", "/dev/null")
	gcc("-Wl,-soname,libvixDiskLib.so.8", "-Wl,--no-as-needed", "-o", filepath.Join(b.lonely, "lib64", "libvixDiskLib.so.8"), stranger, companion)
	if err := os.Remove(companion); err != nil {
		t.Fatal(err)
	}
	if err := disktest.Lacking(b.without, "AllocateConnectParams"); err != nil {
		t.Fatal(err)
	}
	// The laboratory's loads a companion by itself, when it is initialised.
	whole, err := os.ReadFile(filepath.Join(libdir, "lib64", "libvixDiskLib.so.8"))
	if err != nil {
		t.Fatal(err)
	}
	put("torn/lib64/libvixDiskLib.so.8", whole)
	return b
}
