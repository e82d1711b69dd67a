package vddk_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"ivdmover/vddk"
)

// The library is loaded on the process's first thread, which TestMain runs on.
func init() { runtime.LockOSThread() }

// lib is the laboratory's library: one for all tests of the process.
var lib *vddk.Library

// lines are what the library logs.
var lines = &recorder{}

// The tests of this package run in a process that was started with the library's
// environment, as a mover's child is: TestMain builds the library, and runs
// itself again.
const childMark = "IVD_VDDK_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childMark) == "" {
		os.Exit(parent())
	}
	if scene := scenes[os.Getenv(childMark)]; scene != nil {
		os.Exit(scene())
	}
	dir := libdir()
	if other := os.Getenv(sceneDir); other != "" { // the stranger's
		dir = other
	}
	config, err := configFile()
	if err == nil {
		lib, err = vddk.Load(vddk.Options{LibDir: dir, ConfigFile: config, Log: slog.New(lines)})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	lib.Exit()
	if err := os.Remove(config); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// configFile lets 16 requests of 64 KiB be on the wire at once.
func configFile() (string, error) {
	f, err := os.CreateTemp("", "vddk-test-*.conf")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString("vixDiskLib.nfcAio.Session.BufCount=16\n")
	return f.Name(), errors.Join(err, f.Close())
}

func parent() int {
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, "build the laboratory's library:", err)
		return 1
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), append(vddk.Environment(libdir()), childMark+"=tests")...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// libdir is the laboratory's distribution, as make builds it.
func libdir() string {
	if dir := os.Getenv("IVD_VDDK_LIBDIR"); dir != "" {
		return dir
	}
	dir, err := filepath.Abs("../build/vddk-lab")
	if err != nil {
		panic(err)
	}
	return dir
}

func build() error {
	if os.Getenv("IVD_VDDK_LIBDIR") != "" {
		if _, err := os.Stat(filepath.Join(libdir(), "lib64", "libvixDiskLib.so")); err == nil {
			return nil
		}
	}
	cmd := exec.Command("make", "-s", "-C", "lab", "OUT="+libdir())
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}
