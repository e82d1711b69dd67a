package vddk_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The C half of the binding by itself, under each sanitizer: memory that is used
// after it was freed, or left behind, and races that Go's detector does not see.
func TestShimUnderSanitizers(t *testing.T) {
	for _, pattern := range []string{"*.c", "*.h", "shimcheck/*.c"} {
		track(t, pattern)
	}
	sources, err := filepath.Glob("*.c")
	if err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(dummy(t), "libvixDiskLib.so.6")
	for name, flags := range map[string]string{"address": "-fsanitize=address,undefined", "thread": "-fsanitize=thread"} {
		t.Run(name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "check")
			args := append([]string{
				"-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", flags, "-fno-sanitize-recover",
				"-o", program, "shimcheck/check.c",
			}, sources...)
			if out, err := exec.Command("gcc", append(args, "-ldl")...).CombinedOutput(); err != nil {
				t.Fatalf("gcc: %v\n%s", err, out)
			}
			for scene, leaks := range map[string]string{"clean": "1", "hang": "0"} { // what hangs is left behind on purpose
				out, err := sanitized(t, leaks, program, library, scene)
				if strings.Contains(out, "unexpected memory mapping") { // more randomness of addresses than the sanitizer can take
					out, err = sanitized(t, leaks, "setarch", "-R", program, library, scene)
				}
				if err != nil {
					t.Errorf("%s: %v\n%s", scene, err, out)
				}
			}
		})
	}
}

func sanitized(t *testing.T, leaks string, command ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(cmd.Environ(),
		"ASAN_OPTIONS=detect_leaks="+leaks, "TSAN_OPTIONS=halt_on_error=1:report_thread_leaks=0",
		"IVD_VDDK_TEST_RELEASE="+filepath.Join(t.TempDir(), "release"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}
