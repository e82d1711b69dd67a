package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ivdmover/deploy/lab/script"
	"ivdmover/deploy/stage"
	"ivdmover/shared/config"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store/dir"
)

// bin is the folder with the programs, built from this tree.
var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

// sideBySide is how many tests run at once where -parallel does not say: each has an
// estate of its own, and mostly waits.
const sideBySide = 8

func run(m *testing.M) int {
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		if err := parallel.Value.Set(strconv.Itoa(sideBySide)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	dir, err := os.MkdirTemp("", "ivd-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	library := filepath.Join("..", "..", "build", "vddk-lab")
	if library, err = filepath.Abs(library); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if os.Getenv("IVD_VDDK_LIBDIR") == "" {
		os.Setenv("IVD_VDDK_LIBDIR", library)
	}
	builds := [][]string{ // as `make build` does, so that little is compiled again
		{"", "make", "-s", "-C", filepath.Join("..", "..", "vddk", "lab"), "OUT=" + os.Getenv("IVD_VDDK_LIBDIR")},
		{"CGO_ENABLED=0", "go", "build", "-tags", "netgo,osusergo", "-o", filepath.Join(dir, "ivd"), "ivdmover/coordinator"},
		{"CGO_ENABLED=1", "go", "build", "-tags", "netgo,osusergo", "-o", filepath.Join(dir, "ivd-mover"), "ivdmover/mover"},
	}
	for _, b := range builds {
		cmd := exec.Command(b[1], b[2:]...)
		cmd.Env = append(os.Environ(), b[0])
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %v\n%s", b, err, out)
			return 1
		}
	}
	return m.Run()
}

// limit bounds one wait; whoever reaches it is stuck.
const limit = 3 * time.Minute

// newStage is a stage with a laboratory that is running, which may be started with
// further arguments. What is left of it when the test ends is struck, and its logs
// are shown when the test failed. The laboratory's report must be empty then.
func newStage(t testing.TB, labArgs ...string) *stage.Stage {
	t.Helper()
	return newStageIn(t, t.TempDir(), labArgs...)
}

// newStageIn is newStage in a folder, which may have a laboratory's files already.
func newStageIn(t testing.TB, dir string, labArgs ...string) *stage.Stage {
	t.Helper()
	s, err := stage.New(dir, bin)
	must(t, err)
	t.Cleanup(func() {
		err := s.Strike(context.Background())
		if t.Failed() {
			showLogs(t, s)
		}
		misuses, unread := script.Misuses(s.Path("lab")) // access that nobody has ended among them
		for _, m := range misuses {
			t.Errorf("a rule of the library was broken: %+v", m)
		}
		if err := errors.Join(err, unread); err != nil {
			t.Error(err)
		}
	})
	_, err = s.StartLab(t.Context(), labArgs...)
	must(t, err)
	return s
}

// serve writes the configuration, makes the repository and starts the coordinator
// and movers.
func serve(t testing.TB, s *stage.Stage, movers ...string) (coordinator *stage.Process, started []*stage.Process) {
	t.Helper()
	must(t, s.WriteConfig())
	return serveAs(t, s, movers...)
}

// serveAs is serve by the configuration that is there.
func serveAs(t testing.TB, s *stage.Stage, movers ...string) (coordinator *stage.Process, started []*stage.Process) {
	t.Helper()
	initRepository(t, s)
	coordinator, err := s.StartCoordinator(t.Context())
	must(t, err)
	for _, name := range movers {
		m, err := s.StartMover(name)
		must(t, err)
		started = append(started, m)
	}
	must(t, s.AwaitMovers(t.Context(), coordinator, len(movers)))
	return coordinator, started
}

// initRepository is `ivd repo init`; an encrypted one in a folder is made such that its
// passphrase costs little, here and whenever it is opened.
func initRepository(t testing.TB, s *stage.Stage) {
	t.Helper()
	folder, ok := strings.CutPrefix(s.Config.Repository, "dir://")
	if !ok || s.Config.Plain {
		must(t, s.InitRepository(t.Context()))
		return
	}
	passphrase, err := config.ReadSecret(s.Config.Passphrase, slog.Default())
	must(t, err)
	st, err := dir.Open(folder)
	must(t, err)
	_, err = repo.Init(t.Context(), st, repo.InitOptions{Passphrase: passphrase, Argon2: repotest.Argon2})
	must(t, errors.Join(err, st.Close()))
}

// backup is a whole backup of every disk.
func backup(t testing.TB, s *stage.Stage, coordinator *stage.Process) stage.Run {
	t.Helper()
	id, err := s.Backup(t.Context())
	must(t, err)
	r, err := s.Ended(t.Context(), coordinator, id, limit)
	must(t, err)
	return r
}

// restoreAndCompare restores a point to a new disk and compares it with a file.
func restoreAndCompare(t testing.TB, s *stage.Stage, coordinator *stage.Process, point, name, want string) string {
	t.Helper()
	id, err := s.Restore(t.Context(), point, name)
	must(t, err)
	_, err = s.Ended(t.Context(), coordinator, id, limit)
	must(t, err)
	d, err := s.ByName(t.Context(), name)
	must(t, err)
	flat, err := s.Flat(d)
	must(t, err)
	if _, err := stage.Compare(want, flat); err != nil {
		t.Fatalf("%s restored from %s: %v", name, point, err)
	}
	return flat
}

// nothingLeft fails for snapshots and disabled methods that vCenter still has.
func nothingLeft(t testing.TB, s *stage.Stage) {
	t.Helper()
	left, err := s.Leftovers(t.Context())
	must(t, err)
	if len(left) > 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func showLogs(t testing.TB, s *stage.Stage) {
	logs, _ := filepath.Glob(s.Path("logs", "*.log"))
	for _, l := range logs {
		b, err := os.ReadFile(l)
		if err != nil {
			continue
		}
		t.Logf("%s:\n%s", filepath.Base(l), b[max(0, len(b)-6000):])
	}
}
