package mntapi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"ivdmover/vddk"
	"ivdmover/vddk/mntapi"
)

// The library is loaded on the process's first thread, which TestMain runs on.
func init() { runtime.LockOSThread() }

var (
	disks *vddk.Library
	lib   *mntapi.Library
)

const childMark = "IVD_MNTAPI_TEST_CHILD"

// The tests run in a process that was started with the library's environment.
func TestMain(m *testing.M) {
	libdir, err := filepath.Abs("../../build/vddk-lab")
	if dir := os.Getenv("IVD_VDDK_LIBDIR"); dir != "" {
		libdir = dir
	}
	if err == nil && os.Getenv(childMark) == "" {
		err = parent(libdir)
	} else if err == nil {
		err = child(m, libdir)
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		os.Exit(max(exit.ExitCode(), 1))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func parent(libdir string) error {
	cmd := exec.Command("make", "-s", "-C", "../lab", "OUT="+libdir)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the laboratory's library: %w", err)
	}
	cmd = exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), append(vddk.Environment(libdir), childMark+"=1")...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

func child(m *testing.M, libdir string) (err error) {
	if disks, err = vddk.Load(vddk.Options{LibDir: libdir, Log: slog.New(slog.DiscardHandler)}); err != nil {
		return err
	}
	if lib, err = mntapi.Load(context.Background(), disks, ""); err != nil {
		return err
	}
	code := m.Run()
	err = lib.Exit()
	disks.Exit()
	if code != 0 {
		os.Exit(code)
	}
	return err
}
