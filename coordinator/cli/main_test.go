package cli_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/api/apitest"
	"ivdmover/coordinator/cli"
)

var update = flag.Bool("update", false, "write the golden files")

// program is the binary that was built for these tests.
var program string

func TestMain(m *testing.M) {
	// Tables show local time, which a process learns from its environment once, at
	// its beginning.
	if os.Getenv("TZ") != "UTC" {
		self, err := os.Executable()
		if err == nil {
			err = os.Setenv("TZ", "UTC")
		}
		if err == nil {
			err = syscall.Exec(self, os.Args, os.Environ())
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	flag.Parse()
	_ = os.Unsetenv("IVD_SERVER")
	_ = os.Unsetenv("IVD_TOKEN_FILE")
	_ = os.Setenv("IVD_TOKEN", token)
	os.Exit(testMain(m))
}

// token lets the tests' commands in.
const token = "let-me-in"

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "ivd-cli-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "ivd")
	// As `make build` does, so that little is compiled again.
	build := exec.Command("go", "build", "-tags", "netgo,osusergo", "-o", program, "ivdmover/coordinator")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build ivd: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// serve answers from the rooms over HTTP and gives the address.
func serve(t *testing.T, rooms *apitest.Rooms) string {
	t.Helper()
	server, err := api.Open(api.Options{Listen: "127.0.0.1:0", Token: token}, rooms.All())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return server.URL()
}

// do runs a command in this process.
func do(ctx context.Context, extra cli.Extra, args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = cli.Execute(ctx, args, cli.Streams{Out: &o, Err: &e}, extra)
	return code, o.String(), e.String()
}

// ivdBinary runs the binary.
func ivdBinary(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// golden compares with a file below testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; -update writes it anew. Got:\n%s", file, got)
	}
	if strings.HasSuffix(name, ".txt") {
		for line := range strings.Lines(got) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 130 {
				t.Errorf("%s: a line of %d columns: %s", file, n, line)
			}
		}
	}
}
