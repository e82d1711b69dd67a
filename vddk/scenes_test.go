package vddk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ivdmover/vddk"
	"ivdmover/vddk/mntapi"
)

// scenes are main programs of their own, run by tests that need a process with
// another library, or one that ends badly. They end with status 0 when all was as
// it should be.
var scenes = map[string]func() int{
	"load":    func() int { return report(loadOnly()) },
	"dummy":   func() int { return report(dummyScene()) },
	"panic":   func() int { return report(readDummy(1020)) },
	"pipe":    func() int { return report(readDummy(1021)) },
	"version": func() int { return report(versionScene()) },
	"twice":   func() int { return report(loadTwice()) },
	"offmain": func() int { return report(loadOffMain()) },
	"hang":    func() int { return report(hangScene()) },
	"mute":    func() int { return report(readMute()) },
	"price":   func() int { return report(priceScene()) },
}

const sceneDir = "IVD_VDDK_TEST_DIR"

func report(err error) int {
	if err != nil {
		fmt.Println(err)
		if e := (*vddk.LoadError)(nil); errors.As(err, &e) {
			fmt.Println("remedy:", e.Remedy)
		}
		return 1
	}
	return 0
}

// play runs a scene with a libdir and gives its output.
func play(t *testing.T, scene, libdir string, env ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, childMark+"="+scene, sceneDir+"="+libdir)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// dummy builds testdata/dummy.c as a library of an old version.
func dummy(t *testing.T, flags ...string) string {
	t.Helper()
	track(t, "testdata/dummy.c")
	dir := t.TempDir()
	args := append([]string{
		"-shared", "-fPIC", "-pthread", "-Wall", "-Wextra", "-Werror", "-Wl,--no-as-needed",
		"-Wl,-soname,libvixDiskLib.so.6", "-o", filepath.Join(dir, "libvixDiskLib.so.6"), "testdata/dummy.c",
	}, flags...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return dir
}

// track reads sources that only gcc reads, so that a cached result of the tests
// does not outlive them.
func track(t testing.TB, pattern string) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: no such files, %v", pattern, err)
	}
	for _, path := range paths {
		if _, err := os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	sceneConfig = "IVD_VDDK_TEST_CONFIG"
	sceneParams = "IVD_VDDK_TEST_PARAMS"
)

// readMute reads from a host that never answers: the library gives up.
func readMute() error {
	l, err := vddk.Load(vddk.Options{LibDir: os.Getenv(sceneDir), ConfigFile: os.Getenv(sceneConfig)})
	if err != nil {
		return err
	}
	var p vddk.Params
	if err := json.Unmarshal([]byte(os.Getenv(sceneParams)), &p); err != nil {
		return err
	}
	c, err := l.Connect(context.Background(), p, true, "nbdssl")
	if err != nil {
		return err
	}
	h, err := c.Open(context.Background(), p.Disk.ID, vddk.ReadOnly)
	if err != nil {
		return err
	}
	var e *vddk.Error
	if err := h.Read(vddk.Alloc(1<<20).Bytes(), 0); !errors.As(err, &e) || e.Code != 14011 {
		return fmt.Errorf("read: %w", err)
	}
	return errors.Join(h.Close(), c.Disconnect())
}

func TestHostFallsSilent(t *testing.T) {
	p := startPort(t, content(4<<20, 3))
	p.set(func() { p.mute = true })
	params, err := json.Marshal(p.params())
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "vddk.conf")
	if err := os.WriteFile(config, []byte("vixDiskLib.nfc.ReadTimeoutMs=2000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(vddk.Environment(libdir()), sceneConfig+"="+config, sceneParams+"="+string(params))
	if out, err := play(t, "mute", libdir(), env...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func loadDummy() (*vddk.Library, error) {
	return vddk.Load(vddk.Options{LibDir: os.Getenv(sceneDir), ConfigFile: os.Getenv(sceneConfig), Log: slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))})
}

func loadOnly() error {
	_, err := loadDummy()
	return err
}

func versionScene() error {
	l, err := loadDummy()
	if err != nil {
		return err
	}
	defer l.Exit()
	fmt.Printf("version %s, IVDs %v\n", l.Version(), l.SupportsIVD())
	c, h, err := openPath(l, os.Getenv(sceneParams))
	if err != nil {
		return err
	}
	if i := h.Info(); i.LogicalSectorSize != 512 || i.Capacity != 2048 {
		return fmt.Errorf("%+v", i)
	}
	return errors.Join(h.Close(), c.Disconnect())
}

func loadTwice() error {
	if _, err := loadDummy(); err != nil {
		return nil // and the missing error fails the test
	}
	return loadOnly()
}

func loadOffMain() error {
	failed := make(chan error)
	go func() { failed <- loadOnly() }()
	return <-failed
}

func openDummy() (*vddk.Library, *vddk.Connection, *vddk.Handle, error) {
	l, err := loadDummy()
	if err != nil {
		return nil, nil, nil, err
	}
	c, err := l.Connect(context.Background(), vddk.Params{}, true, "")
	if err != nil {
		return nil, nil, nil, err
	}
	h, err := c.Open(context.Background(), "/x", vddk.ReadOnly)
	return l, c, h, err
}

func readDummy(sector uint64) error {
	_, _, h, err := openDummy()
	if err != nil {
		return err
	}
	return h.Read(vddk.Alloc(512).Bytes(), sector)
}

func dummyScene() error {
	l, c, h, err := openDummy()
	if err != nil {
		return err
	}
	if h.Info() != (vddk.Info{Capacity: 1024, LogicalSectorSize: 512, PhysicalSectorSize: 512}) || l.Version() != "6" {
		return fmt.Errorf("info %+v, version %s", h.Info(), l.Version())
	}
	buf := vddk.Alloc(4096).Bytes()
	for i := range uint64(20000) {
		if err := h.Read(buf, i%1000); err != nil || buf[0] != byte(i%1000) || buf[4095] != byte(i%1000) {
			return fmt.Errorf("read %d: %w, % x", i, err, buf[:1])
		}
	}
	if err := h.Read(buf, 1023); err != nil || buf[0] != 0xff {
		return fmt.Errorf("a read that is done without a callback: %w", err)
	}
	if err := dummyErrors(l, h, buf); err != nil {
		return err
	}
	var none *vddk.LoadError
	if _, err := mntapi.Load(context.Background(), l, ""); !errors.As(err, &none) || !strings.Contains(none.Remedy, "the whole distribution") {
		return fmt.Errorf("a distribution without libvixMntapi: %w", err)
	}
	if err := errors.Join(many(h), h.Flush(), h.Close(), c.Disconnect(), crowd(l)); err != nil {
		return err
	}
	// The handlers that the library installed without SA_ONSTACK, on a Go thread.
	for i := range 30 {
		if err := syscall.Kill(os.Getpid(), []syscall.Signal{syscall.SIGWINCH, syscall.SIGUSR2, syscall.SIGIO}[i%3]); err != nil {
			return err
		}
		<-time.After(time.Millisecond)
	}
	l.Exit()
	return nil
}

// many begins more reads at once than may be in flight on a handle.
func many(h *vddk.Handle) error {
	var group sync.WaitGroup
	errs := make([]error, 100)
	for i := range errs {
		group.Go(func() {
			b := vddk.Alloc(512)
			defer b.Free()
			errs[i] = h.Read(b.Bytes(), 1017) // comes late
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// crowd does everything at once, from many goroutines: several disks, and several
// on one disk, which is flushed and closed while reads on it are under way.
func crowd(l *vddk.Library) error {
	var group sync.WaitGroup
	errs := make(chan error, 1000)
	for disk := 1; disk <= 6; disk++ {
		group.Go(func() {
			for range 5 {
				c, h, err := openPath(l, fmt.Sprintf("/%d", disk))
				if err != nil {
					errs <- err
					return
				}
				var readers sync.WaitGroup
				for i := range 6 {
					readers.Go(func() {
						b := vddk.Alloc(512)
						defer b.Free()
						sector := uint64(1017) // comes late
						if i%2 == 0 {
							sector = uint64(i)
						}
						var e *vddk.Error
						if err := h.Read(b.Bytes(), sector); err != nil && (!errors.As(err, &e) || e.Code != 1000) {
							errs <- err
						}
					})
				}
				errs <- errors.Join(h.Flush(), h.Close(), c.Disconnect())
				readers.Wait()
			}
		})
	}
	group.Wait()
	close(errs)
	var all error
	for err := range errs {
		all = errors.Join(all, err)
	}
	return all
}

func dummyErrors(l *vddk.Library, h *vddk.Handle, buf []byte) error {
	for _, c := range []struct {
		err   error
		code  uint64
		class vddk.Class
	}{
		{h.Read(buf, 1022), 16007, vddk.Misuse},
		{h.Write(buf, 0), 8, vddk.Full},
		{func() error { _, err := h.QueryAllocated(0, 1024, 128); return err }(), 6, vddk.Fallback},
		{l.PrepareForAccess(context.Background(), vddk.Params{}, "x"), 6, vddk.Fallback},
		{l.EndAccess(context.Background(), vddk.Params{}, "x"), 6, vddk.Fallback},
	} {
		var e *vddk.Error
		if !errors.As(c.err, &e) || e.Code != c.code || e.Class != c.class || e.Text != "dummy error" {
			return fmt.Errorf("got %w, want code %d of class %s", c.err, c.code, c.class)
		}
	}
	var e *vddk.LoadError
	if _, err := l.Connect(context.Background(), vddk.Params{Server: "v", Disk: &vddk.DiskSpec{ID: "x"}}, true, ""); !errors.As(err, &e) || !strings.Contains(e.Remedy, "6.7") {
		return fmt.Errorf("a disk of its own with an old library: %w", err)
	}
	return nil
}

// What people get wrong about libdir is named, with what to do.
func loadRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("file", nil)
	missing := filepath.Join(dir, "libmissing.so") // a companion that is gone when the library is loaded
	if out, err := exec.Command("gcc", "-shared", "-Wl,-soname,libmissing.so", "-o", missing, "-xc", "/dev/null").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	write("text/lib64/libvixDiskLib.so.8", []byte("#!/bin/sh\n"))
	foreign, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	copy(foreign[18:], []byte{0xb7, 0}) // EM_AARCH64
	write("arm/lib64/libvixDiskLib.so.9", foreign)
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ scene, libdir, problem, remedy string }{
		{"load", "", "no folder is given", "set vddk.libdir"},
		{"load", "lib", "relative", "absolute path"},
		{"load", filepath.Join(dir, "none"), "no such folder", "unpack VMware's VDDK"},
		{"load", file, "a file, not a folder", "unpack VMware's VDDK"},
		{"load", filepath.Join(libdir(), "lib64"), "it is the lib64 inside", "set vddk.libdir to " + libdir()},
		{"load", filepath.Join(dir, "empty"), "no libvixDiskLib.so.6 to .9", "the one that contains lib64"},
		{"load", filepath.Join(dir, "text"), "no shared library", "unpack the distribution again"},
		{"load", filepath.Join(dir, "arm"), "EM_AARCH64", "x86-64"},
		{"load", libdir(), "the process was not started with " + libdir() + "/lib64", "start the process with LD_LIBRARY_PATH=" + libdir() + "/lib64"},
		{"load", dummy(t, missing), "libmissing.so", "unpack the distribution again"},
		{"load", dummy(t, "-DWITHOUT_WAIT"), "undefined symbol: VixDiskLib_Wait", "since 6.7"},
	} {
		checkRefused(t, c.scene, c.libdir, c.problem, c.remedy)
	}
}

// Libraries of all versions that know IVDs are found by their names, the newest
// first, and told apart.
func TestVersions(t *testing.T) {
	track(t, filepath.Join(libdir(), "lib64/libvixDiskLib.so.8.0.0"))
	path, _ := sparse(t, 1<<20, 1)
	dir := t.TempDir()
	lib64 := filepath.Join(dir, "lib64")
	if err := os.Mkdir(lib64, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"libvixlabtls.so.1", "libvixDiskLib.so.8.0.0"} {
		if err := os.Symlink(filepath.Join(libdir(), "lib64", file), filepath.Join(lib64, file)); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []string{"6.7.3", "7.0.3", "8.0.3", "9.0.1"} {
		content, err := os.ReadFile(filepath.Join(lib64, "libvixDiskLib.so.8.0.0"))
		if err != nil {
			t.Fatal(err)
		}
		name := "libvixDiskLib.so." + version
		if err := os.WriteFile(filepath.Join(lib64, name), content, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(name, filepath.Join(lib64, name[:len(name)-4])); err != nil {
			t.Fatal(err)
		}
		out, err := play(t, "version", dir, append(vddk.Environment(dir), sceneParams+"="+path)...)
		if err != nil || !strings.Contains(out, "version "+version+", IVDs true") {
			t.Errorf("%s: %v\n%s", version, err, out)
		}
	}
}

func TestConfigFileUnreadable(t *testing.T) {
	libdir := dummy(t)
	out, err := play(t, "load", libdir, sceneConfig+"="+filepath.Join(libdir, "none.conf"))
	if err == nil || !strings.Contains(out, "none.conf: no such file") || !strings.Contains(out, "remedy: check its path") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("LD_LIBRARY_PATH", "/other")
	if env := vddk.Environment("/opt/vddk"); len(env) != 1 || env[0] != "LD_LIBRARY_PATH=/opt/vddk/lib64:/other" {
		t.Errorf("got %q", env)
	}
}
