package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ivdmover/coordinator/cli"
)

// A mover of another host gets credentials of its own, which it keeps.
func TestMoverAdd(t *testing.T) {
	t.Parallel()
	_, reference, _ := do(t.Context(), cli.Extra{}, "config", "reference")
	dir := t.TempDir()
	config := func(old, text string) string {
		file := filepath.Join(t.TempDir(), "ivd.yaml")
		changed := strings.ReplaceAll(reference, "/var/lib/ivd", dir)
		if !strings.Contains(changed, old) {
			t.Fatalf("the reference has no %q", old)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(changed, old, text, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	good := config("", "")
	var first []byte
	for range 2 {
		code, out, errs := do(t.Context(), cli.Extra{}, "movers", "add", "proxy-1", "--config", good)
		want := filepath.Join(dir, "movers", "proxy-1.creds")
		if code != 0 || strings.TrimSpace(out) != want {
			t.Fatalf("%d %s %s, want %s", code, out, errs, want)
		}
		text, err := os.ReadFile(want)
		if err != nil || first != nil && string(first) != string(text) {
			t.Errorf("it has changed: %v", err)
		}
		first = text
	}
	for _, args := range [][]string{{"a/b", "--config", good}, {"..", "--config", good}, {"--config", good}, {"x", "--config", config(`url: ""`, "url: nats://127.0.0.1:4222")}} {
		if code, _, errs := do(t.Context(), cli.Extra{}, append([]string{"movers", "add"}, args...)...); code != 2 || errs == "" {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*", "*")); err != nil || len(left) != 1 {
		t.Errorf("there are %q, %v", left, err)
	}
}
