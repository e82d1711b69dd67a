// Package disktest gives tests the laboratory's libvixDiskLib: it builds the
// library, runs the test binary once more in the environment that the library
// needs, as a mover's child runs, and loads it there on the main thread.
package disktest

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"ivdmover/vddk"
)

// The library is loaded on the process's first thread, which TestMain runs on.
func init() { runtime.LockOSThread() }

const mark = "IVD_DISKTEST_CHILD"

// Proxy is the BIOS UUID that the library takes this machine for.
const Proxy = "4225a3c1-7f0e-4d53-9d0a-0a1b2c3d4e5f"

// Main is a TestMain's body: ready gets the loaded library before the tests run.
// It does not return.
func Main(m *testing.M, ready func(*vddk.Library) error) {
	if os.Getenv(mark) == "" {
		os.Exit(parent())
	}
	folder, err := os.MkdirTemp("", "disktest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lib, err := load(folder)
	if err == nil {
		err = ready(lib)
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
		lib.Exit()
	}
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func load(folder string) (*vddk.Library, error) {
	libdir, err := LibDir()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(folder, "vddk.conf")
	if err := os.WriteFile(config, []byte("tmpDirectory="+folder+"\n"), 0o600); err != nil {
		return nil, err
	}
	return vddk.Load(vddk.Options{LibDir: libdir, ConfigFile: config, Log: slog.New(slog.DiscardHandler)})
}

func parent() int {
	libdir, err := Build()
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the laboratory's library:", err)
		return 1
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(append(os.Environ(), vddk.Environment(libdir)...), mark+"=1", "IVD_LAB_PROXY="+Proxy)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Build makes the library if it is not there or not up to date, and says where it
// is. Tests of several packages may do so at once.
func Build() (libdir string, err error) {
	if libdir, err = LibDir(); err != nil || os.Getenv("IVD_VDDK_LIBDIR") != "" {
		return libdir, err
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	source := filepath.Join(root, "vddk", "lab")
	lock, err := os.Open(source)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	cmd := exec.Command("make", "-s", "-C", source, "OUT="+libdir)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return libdir, cmd.Run()
}

// LibDir is the laboratory's distribution, as make builds it.
func LibDir() (string, error) {
	if dir := os.Getenv("IVD_VDDK_LIBDIR"); dir != "" {
		return dir, nil
	}
	root, err := moduleRoot()
	return filepath.Join(root, "build", "vddk-lab"), err
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the test")
		}
		dir = up
	}
}
