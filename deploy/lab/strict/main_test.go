package strict_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"ivdmover/deploy/lab/script"
	"ivdmover/vddk"
)

// The library is loaded on the process's first thread, which TestMain runs on.
func init() { runtime.LockOSThread() }

const (
	childMark = "IVD_STRICT_CHILD" // "tests", or the name of a scene
	folder    = "IVD_STRICT_FOLDER"

	// self is the proxy that the tests' process plays.
	self = "42301234-aaaa-bbbb-cccc-0123456789ab"
)

// lib is the laboratory's library: one for all tests of the process.
var lib *vddk.Library

func TestMain(m *testing.M) {
	mark := os.Getenv(childMark)
	if mark == "" {
		os.Exit(parent())
	}
	if err := load(os.Getenv(folder)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if scene := scenes[mark]; scene != nil {
		os.Exit(scene())
	}
	code := m.Run()
	os.Exit(code) // requests of a script hang: the library is not ended
}

func load(dir string) error {
	config := filepath.Join(dir, "vddk.conf")
	text := "tmpDirectory=" + dir + "\n" +
		"vixDiskLib.nfcAio.Session.BufSizeIn64KB=16\nvixDiskLib.nfcAio.Session.BufCount=4\n" + os.Getenv("IVD_STRICT_CONFIG")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	var err error
	lib, err = vddk.Load(vddk.Options{LibDir: libdir(), ConfigFile: config, Log: slog.New(slog.DiscardHandler)})
	return err
}

func parent() int {
	if out, err := exec.Command("make", "-s", "-C", "../../../vddk/lab", "OUT="+libdir()).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the laboratory's library: %v\n%s", err, out)
		return 1
	}
	dir, err := os.MkdirTemp("", "strict-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cmd := again("tests", dir, os.Args[1:]...)
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

// again is this program once more, with the library's environment.
func again(mark, dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	env := os.Environ()
	for i, e := range env {
		if strings.HasPrefix(e, childMark+"=") || strings.HasPrefix(e, folder+"=") {
			env[i] = "IVD_STRICT_NONE="
		}
	}
	cmd.Env = append(append(env, vddk.Environment(libdir())...), childMark+"="+mark, folder+"="+dir, script.ProxyVariable+"="+self)
	return cmd
}

func libdir() string {
	if dir := os.Getenv("IVD_VDDK_LIBDIR"); dir != "" {
		return dir
	}
	dir, err := filepath.Abs("../../../build/vddk-lab")
	if err != nil {
		panic(err)
	}
	return dir
}
