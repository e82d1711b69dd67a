package dump_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"ivdmover/shared/dump"
)

const role = "DUMP_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(role) == "" {
		os.Exit(m.Run())
	}
	if err := dump.None(); err != nil {
		os.Exit(3)
	}
	const getDumpable = 3 // PR_GET_DUMPABLE
	dumpable, _, errno := syscall.Syscall(syscall.SYS_PRCTL, getDumpable, 0, 0)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &limit); err != nil || errno != 0 || dumpable != 0 || limit != (syscall.Rlimit{}) {
		os.Exit(4)
	}
	// A child inherits the limit, and could not raise it without a right.
	if out, err := exec.Command("/bin/sh", "-c", "ulimit -c").Output(); err != nil || string(out) != "0\n" {
		os.Exit(5)
	}
	os.Exit(0)
}

func TestNoCoreFiles(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"=1")
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
}
