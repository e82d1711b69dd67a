package vddk_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// The laboratory's library by itself, under AddressSanitizer: its rules, what it
// does not forgive, and the calls that the binding never makes.
func TestLaboratoryLibrary(t *testing.T) {
	for _, pattern := range []string{"lab/*.c", "lab/*.h", "lab/Makefile", "lab/check/*.c", "vix-errors.tsv"} {
		track(t, pattern)
	}
	out, err := exec.Command("make", "-s", "-C", "lab", "check", "OUT="+filepath.Join(t.TempDir(), "asan")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
