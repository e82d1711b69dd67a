package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A mover that holds no data key verifies an encrypted repository, with keys that the
// coordinator gives it: what is whole ends with 0, what is not with 1 and the bytes that
// are lost; and the next backup heals it.
func TestVerifyAnEncryptedRepository(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStage(t)
	d, err := s.Register(ctx, "datastore1", "data", sparse(8<<20, 1<<20))
	must(t, err)
	coordinator, _ := encrypted(t, s, "proxy-1")
	backup(t, s, coordinator)
	verify := func(status int, says string, args ...string) {
		t.Helper()
		stdout, stderr, err := s.Command(ctx, append([]string{"verify", "--wait"}, args...)...)
		var exit *exec.ExitError
		code := 0
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		} else {
			must(t, err)
		}
		if code != status || !strings.Contains(stdout+stderr, says) {
			t.Fatalf("ivd verify %v: %d, want %d and %q\n%s%s", args, code, status, says, stdout, stderr)
		}
	}
	verify(0, "done", "--all")
	verify(0, "done", "data@latest", "--structure")
	verify(0, "done", "--packs", "new")
	verify(1, "all that backups have stored is proven", "--packs", "new")

	packs, err := filepath.Glob(filepath.Join(strings.TrimPrefix(s.Config.Repository, "dir://"), "data", "*", "*", "*"))
	must(t, err)
	if len(packs) != 1 {
		t.Fatalf("%d data packs", len(packs))
	}
	b, err := os.ReadFile(packs[0])
	must(t, err)
	b[len(b)/2] ^= 1
	must(t, os.Chmod(packs[0], 0o600))
	must(t, os.WriteFile(packs[0], b, 0o600))
	verify(1, "is damaged: lost are", "data@latest")
	must(t, s.GuestWrites(ctx, d, 0, 4096, 1))
	backup(t, s, coordinator)
	verify(0, "done", "data@latest")
	nothingLeft(t, s)
}
