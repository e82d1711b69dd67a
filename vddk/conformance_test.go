package vddk_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ivdmover/vddk"
)

// What the binding promises of any library: run with the laboratory's here, and
// with the stranger by TestStranger. What a library lacks is an *Error of class
// Fallback, and nothing else changes.
func TestConformance(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"read and write":    conformsIO,
		"limits":            conformsLimits,
		"end of use":        conformsEnd,
		"allocated":         conformsAllocated,
		"metadata":          conformsMetadata,
		"params":            conformsParams,
		"check and repair":  conformsRepair,
		"other processes":   conformsFork,
		"buffers":           conformsBuffers,
		"one after another": conformsCycles,
		"no garbage":        conformsWithoutGarbage,
	} {
		t.Run(name, test)
	}
}

// stranger builds the second library, and gives its folder.
func stranger(t testing.TB) string {
	t.Helper()
	track(t, "stranger/*.c")
	dir := t.TempDir()
	out, err := exec.Command("gcc", "-shared", "-fPIC", "-pthread", "-O2", "-Wall", "-Wextra", "-Werror",
		"-Wl,-soname,libvixDiskLib.so.6", "-o", filepath.Join(dir, "libvixDiskLib.so.6"), "stranger/stranger.c").CombinedOutput()
	if err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return dir
}

// The same tests with the stranger, in a process of its own.
func TestStranger(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestConformance$", "-test.v")
	cmd.Env = append(os.Environ(), childMark+"=tests", sceneDir+"="+stranger(t))
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS: TestConformance/") != 11 {
		t.Fatalf("%v\n%s", err, out)
	}
}

// isStranger: the library has the nineteen functions of the stranger, and no more.
func isStranger() bool { return !lib.SupportsIVD() }

func conformsIO(t *testing.T) {
	path, content := sparse(t, 16<<20+512, 3)
	h := openFile(t, path, 0)
	want := vddk.Info{Capacity: 16<<11 + 1, LogicalSectorSize: 512, PhysicalSectorSize: 512}
	got := h.Info()
	got.UUID, got.LinkCount, got.AdapterType = "", 0, 0
	if got != want || h.Transport() != "file" {
		t.Errorf("%+v by %s", h.Info(), h.Transport())
	}
	concurrently(t, h, content)
	compare(t, h, content)
	if err := h.Flush(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(file, content) {
		t.Fatalf("the file is not what was written, %v", err)
	}
}

func conformsLimits(t *testing.T) {
	path, _ := sparse(t, 1<<20, 9)
	h := openFile(t, path, vddk.ReadOnly)
	buf := alloc(t, 4096)
	wantCode(t, h.Read(buf, 2048), 16007, vddk.Misuse)
	wantCode(t, h.Read(buf, 2041), 16007, vddk.Misuse)
	wantCode(t, h.Read(buf, 1<<63), 16007, vddk.Misuse)
	wantCode(t, h.Write(buf, 0), 11, vddk.Denied)
	if err := h.Read(buf, 2040); err != nil {
		t.Errorf("the handle is of no use after errors: %v", err)
	}
}

func conformsEnd(t *testing.T) {
	path, _ := sparse(t, 1<<20, 9)
	c, err := lib.Connect(t.Context(), vddk.Params{}, true, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Open(t.Context(), "/none", vddk.ReadOnly)
	wantCode(t, err, 4, vddk.Gone)
	for _, path := range []string{"", "a\x00b"} { // NULL kills, and what follows a zero byte is lost
		_, err = c.Open(t.Context(), path, vddk.ReadOnly)
		wantCode(t, err, 3, vddk.Misuse)
	}
	h, err := c.Open(t.Context(), path, vddk.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	// Disconnect would leave the handle invalid.
	wantCode(t, c.Disconnect(), 3, vddk.Misuse)
	buf := alloc(t, 4096)
	if err := errors.Join(h.Read(buf, 0), h.Close(), h.Close()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, h.Read(buf, 0), 1000, vddk.Misuse)
	wantCode(t, h.Flush(), 1000, vddk.Misuse)
	_, err = h.QueryAllocated(0, 128, 128)
	wantCode(t, err, 1000, vddk.Misuse)
	if err := errors.Join(c.Disconnect(), c.Disconnect()); err != nil {
		t.Fatal(err)
	}
	_, err = c.Open(t.Context(), path, vddk.ReadOnly)
	wantCode(t, err, 1000, vddk.Misuse)
}

func conformsAllocated(t *testing.T) {
	path, content := sparse(t, 8<<20+65536+512, 5)
	h := openFile(t, path, vddk.ReadOnly)
	if isStranger() {
		_, err := h.QueryAllocated(0, h.Info().Capacity, 128)
		wantCode(t, err, 6, vddk.Fallback)
		return
	}
	for _, chunk := range []uint64{128, 512, 1024} {
		checkAllocated(t, "file", h, content, chunk)
	}
}

func conformsMetadata(t *testing.T) {
	path, _ := sparse(t, 1<<20, 5)
	h := openFile(t, path, 0)
	for _, key := range []string{"", "a\x00b"} {
		_, err := h.Metadata(key)
		wantCode(t, err, 3, vddk.Misuse)
		wantCode(t, h.SetMetadata(key, "x"), 3, vddk.Misuse)
	}
	keys, err := h.MetadataKeys()
	if isStranger() {
		wantCode(t, err, 6, vddk.Fallback)
		_, err = h.Metadata("uuid")
		wantCode(t, err, 6, vddk.Fallback)
		wantCode(t, h.SetMetadata("uuid", "x"), 6, vddk.Fallback)
		return
	}
	if err != nil || len(keys) == 0 {
		t.Fatalf("keys %q, %v", keys, err)
	}
	for _, key := range keys {
		value, err := h.Metadata(key)
		if err != nil || strings.ContainsRune(value, 0) || key == "adapterType" && value != "lsilogic" {
			t.Errorf("%s is %q, %v", key, value, err)
		}
	}
	_, err = h.Metadata("no such key")
	var e *vddk.Error
	if !errors.As(err, &e) {
		t.Errorf("a key that is not there: %v", err)
	}
}

func conformsParams(t *testing.T) {
	c, err := lib.Connect(t.Context(), vddk.Params{}, true, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect()
	p, err := c.Params()
	if isStranger() {
		wantCode(t, err, 6, vddk.Fallback)
	} else if err != nil || p != (vddk.Params{}) {
		t.Errorf("parameters of a local file: %+v, %v", p, err)
	}
	for what, p := range map[string]vddk.Params{
		"no user":      {Server: "v"},
		"no server":    {VM: "moref=vm-1", User: "u"},
		"zero byte":    {Server: "v\x00w", User: "u"},
		"no datastore": {Server: "v", User: "u", Disk: &vddk.DiskSpec{ID: "x"}},
		"no VM":        {Server: "v", User: "u", VMSnapshot: "snapshot-1"},
		"both":         {Server: "v", User: "u", VM: "moref=vm-1", Disk: &vddk.DiskSpec{ID: "x", Datastore: "d"}},
	} {
		_, err := lib.Connect(t.Context(), p, true, "")
		var old *vddk.LoadError
		if p.Disk != nil && isStranger() {
			if !errors.As(err, &old) || !strings.Contains(old.Remedy, "6.7") {
				t.Errorf("%s with an old library: %v", what, err)
			}
			continue
		}
		wantCode(t, err, 3, vddk.Misuse)
	}
}

// A disk's description is checked, and left as it is unless a repair is asked for.
func conformsRepair(t *testing.T) {
	path, _ := sparse(t, 1<<20, 9)
	descriptor := filepath.Join(filepath.Dir(path), "disk.vmdk")
	wrong := "# Disk DescriptorFile\nversion=1\nCID=fffffffe\ncreateType=\"vmfs\"\nRW 4096 VMFS \"disk.raw\"\n"
	if err := os.WriteFile(descriptor, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := lib.Connect(t.Context(), vddk.Params{}, false, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect()
	for _, file := range []string{"", "a\x00b"} {
		wantCode(t, c.CheckRepair(file, false), 3, vddk.Misuse)
	}
	if isStranger() {
		wantCode(t, c.CheckRepair(descriptor, false), 6, vddk.Fallback) // it has no such function
		return
	}
	wantCode(t, c.CheckRepair(filepath.Join(t.TempDir(), "none.vmdk"), false), 4, vddk.Gone)
	if e := wantCode(t, c.CheckRepair(descriptor, false), 16006, vddk.Generic); !strings.Contains(e.Detail, "another length") {
		t.Errorf("%v does not say what is wrong", e)
	}
	if text, err := os.ReadFile(descriptor); err != nil || string(text) != wrong {
		t.Errorf("a check has changed the file: %v\n%s", err, text)
	}
	if err := errors.Join(c.CheckRepair(descriptor, true), c.CheckRepair(descriptor, false), c.Disconnect()); err != nil {
		t.Error(err)
	}
	wantCode(t, c.CheckRepair(descriptor, false), 1000, vddk.Misuse)
}

// Go's way of starting a program, a fork and an exec, leaves the library's threads
// alone; the stranger aborts where they are gone.
func conformsFork(t *testing.T) {
	if out, err := exec.Command("true").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	path, _ := sparse(t, 1<<20, 9)
	if err := openFile(t, path, vddk.ReadOnly).Read(alloc(t, 512), 0); err != nil {
		t.Fatal(err)
	}
}

// Only memory that stays where it is, until the library is done with it.
func conformsBuffers(t *testing.T) {
	path, content := sparse(t, 4<<20, 9)
	h := openFile(t, path, vddk.ReadOnly)
	buf := alloc(t, 4096)
	wantCode(t, h.Read(make([]byte, 4096), 0), 3, vddk.Misuse)
	wantCode(t, h.Read(buf[:100], 0), 3, vddk.Misuse)
	wantCode(t, h.Read(buf[1:513], 0), 3, vddk.Misuse)
	wantCode(t, h.Read(nil, 0), 3, vddk.Misuse)
	var group sync.WaitGroup
	for range 8 {
		b := vddk.Alloc(1 << 20)
		memory := b.Bytes()
		group.Go(func() {
			err := h.Read(memory, 2048)
			// Freed before the read began, or kept until it had ended.
			if e := (*vddk.Error)(nil); err != nil && (!errors.As(err, &e) || e.Code != 3) {
				t.Error(err)
			}
		})
		group.Go(b.Free)
	}
	group.Wait()
	b := vddk.Alloc(1 << 20)
	if err := h.Read(b.Bytes(), 2048); err != nil || !bytes.Equal(b.Bytes(), content[1<<20:2<<20]) {
		t.Errorf("not the file's content, %v", err)
	}
	memory := b.Bytes()
	b.Free()
	b.Free()
	wantCode(t, h.Read(memory, 0), 3, vddk.Misuse)
}

func conformsCycles(t *testing.T) {
	path, content := sparse(t, 1<<20, 4)
	buf := alloc(t, 4096)
	for i := range 100 {
		c, err := lib.Connect(t.Context(), vddk.Params{}, true, "")
		if err != nil {
			t.Fatal(err)
		}
		h, err := c.Open(t.Context(), path, vddk.ReadOnly)
		if err != nil {
			t.Fatal(err)
		}
		at := i * 4096 % len(content)
		if err := errors.Join(h.Read(buf, uint64(at/512)), h.Close(), c.Disconnect()); err != nil || !bytes.Equal(buf, content[at:at+4096]) {
			t.Fatalf("cycle %d: %v", i, err)
		}
	}
}

// A read of 1 MiB leaves nothing to Go's collector: no buffer is copied, no
// closure, channel or map entry made.
func conformsWithoutGarbage(t *testing.T) {
	path, _ := sparse(t, 4<<20, 9)
	h := openFile(t, path, vddk.ReadOnly)
	buf := alloc(t, 1<<20)
	var err error
	if n := testing.AllocsPerRun(200, func() { err = errors.Join(err, h.Read(buf, 2048)) }); n > 0 || err != nil {
		t.Errorf("%v allocations for each read, %v", n, err)
	}
}
