package vddk_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// The laboratory's library by itself, under AddressSanitizer and ThreadSanitizer: its
// rules, what it does not forgive, and the calls that the binding never makes.
func TestLaboratoryLibrary(t *testing.T) {
	for _, pattern := range []string{"lab/*.c", "lab/*.h", "lab/Makefile", "lab/check/*.[ch]", "vix-errors.tsv"} {
		track(t, pattern)
	}
	for _, sanitizer := range []string{"address,undefined", "thread"} {
		t.Run(sanitizer, func(t *testing.T) {
			out, err := exec.Command("make", "-s", "-C", "lab", "check", "SANITIZE="+sanitizer, "OUT="+filepath.Join(t.TempDir(), "out")).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}
