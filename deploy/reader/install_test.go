package reader

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// reader is the program, installed in a folder of the test's.
type reader struct {
	node, folder string
}

// install copies docs/reader and has npm fetch what package-lock.json names.
func install(t *testing.T) reader {
	t.Helper()
	r := reader{node: node(t), folder: t.TempDir()}
	source := filepath.Join("..", "..", "docs", "reader")
	for _, name := range []string{"ivd-reader.js", "package.json", "package-lock.json"} {
		copyFile(t, filepath.Join(source, name), filepath.Join(r.folder, name))
	}
	must(t, os.CopyFS(filepath.Join(r.folder, "lib"), os.DirFS(filepath.Join(source, "lib"))))
	copyFile(t, filepath.Join("testdata", "flips.js"), filepath.Join(r.folder, "flips.js"))
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	npm.Dir = r.folder
	npm.Env = append(os.Environ(), "PATH="+filepath.Dir(r.node)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return r
}

// node finds Node.js as `make node` leaves it.
func node(t *testing.T) string {
	t.Helper()
	for _, folder := range []string{os.Getenv("IVD_TOOLS"), filepath.Join("..", "..", ".tools", "bin")} {
		p, err := filepath.Abs(filepath.Join(folder, "node"))
		must(t, err)
		if info, err := os.Stat(p); folder != "" && err == nil && info.Mode().IsRegular() {
			return p
		}
	}
	p, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("no node in .tools/bin nor in PATH: run `make node`")
	}
	return p
}

// result is how a call ended.
type result struct {
	code           int
	stdout, stderr string
}

// script runs one of the folder's scripts.
func (r reader) script(t *testing.T, script string, args ...string) result {
	t.Helper()
	return run(t.Context(), t, r.node, append([]string{filepath.Join(r.folder, script)}, args...)...)
}

func run(ctx context.Context, t *testing.T, program string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(ctx, program, args...)
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// succeed runs the reader on a repository, which must be in order.
func (r reader) succeed(t *testing.T, args ...string) string {
	t.Helper()
	got := r.script(t, "ivd-reader.js", args...)
	if got.code != 0 || got.stderr != "" {
		t.Fatalf("%q: exit code %d\n%s%s", args, got.code, got.stdout, got.stderr)
	}
	return got.stdout
}

// fail runs the reader, which must refuse with one line that says all of want.
func (r reader) fail(t *testing.T, code int, want []string, args ...string) {
	t.Helper()
	got := r.script(t, "ivd-reader.js", args...)
	if got.code != code || strings.Count(got.stderr, "\n") != 1 {
		t.Fatalf("%q: exit code %d, want %d and one line\n%s%s", args, got.code, code, got.stdout, got.stderr)
	}
	for _, w := range want {
		if !strings.Contains(got.stderr, w) {
			t.Errorf("%q: %q does not say %q", args, got.stderr, w)
		}
	}
}

// points are the long names that the reader lists, by their short ids.
func (r reader) points(t *testing.T, repository ...string) map[string]string {
	t.Helper()
	points := map[string]string{}
	lines := strings.Split(strings.TrimSpace(r.succeed(t, append(repository, "points")...)), "\n")
	for _, line := range lines[1:] {
		f := strings.Fields(line)
		points[f[0]] = f[4]
	}
	return points
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, b, 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
