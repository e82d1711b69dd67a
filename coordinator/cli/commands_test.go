package cli_test

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/cli"
	"ivdmover/shared/ivd"
)

func TestBackupPrintsTheRun(t *testing.T) {
	rooms := estate()
	url := serve(t, rooms)
	code, out, errs := do(t.Context(), cli.Extra{}, "backup", "--disk", strings.ToUpper(string(diskA)), "--disk", string(diskB), "--full", "--server", url)
	if code != 0 || out != string(runA)+"\n" || !strings.Contains(errs, "ivd run show "+string(runA)+" --follow") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	if got := rooms.Backups[0]; len(got.Disks) != 2 || got.Disks[0] != string(diskA) || !got.Full || got.All {
		t.Errorf("asked for %+v", got)
	}
	code, out, _ = do(t.Context(), cli.Extra{}, "restore", string(pointA), "--name", "n", "--datastore", "d", "--vcenter", "v", "--server", url, "-o", "json")
	var v api.RunDetail
	if err := json.Unmarshal([]byte(out), &v); code != 0 || err != nil || v.ID != runA {
		t.Errorf("%d %v %s", code, err, out)
	}
	if got := rooms.Restores[0]; got != (api.RestoreRequest{Point: pointA, Name: "n", Datastore: "d", VCenter: "v"}) {
		t.Errorf("asked for %+v", got)
	}
}

// A point is named as people name it; the server finds out which one is meant.
func TestRestoreByWhatPeopleCallIt(t *testing.T) {
	rooms := estate()
	url := serve(t, rooms)
	for text, want := range map[string]ivd.PointID{
		catalogue.Short(pointB): pointB, catalogue.Short(pointA)[:6]: pointA,
		"data-01@latest": pointA, string(diskA) + "@" + evening.Add(-time.Hour).Format(time.RFC3339): pointB,
		"data-01@" + evening.Add(-time.Hour).In(time.Local).Format("2006-01-02T15:04"): pointB,
	} {
		rooms.Restores = nil
		code, _, errs := do(t.Context(), cli.Extra{}, "restore", text, "--server", url)
		if code != 0 || len(rooms.Restores) != 1 || rooms.Restores[0].Point != want {
			t.Errorf("%q: %d %q: %+v", text, code, errs, rooms.Restores)
		}
	}
	if code, _, errs := do(t.Context(), cli.Extra{}, "restore", "nobody@latest", "--server", url); code != 1 || !strings.Contains(errs, "nobody") {
		t.Errorf("%d %q", code, errs)
	}
}

// What became of a run is the exit code of who waited for it.
func TestExitCodeOfRuns(t *testing.T) {
	for state, want := range map[api.State]struct {
		code int
		line string
	}{
		api.Done:      {0, ""},
		api.Partial:   {3, "ivd: 1 of 2 disks of run " + string(runA) + " failed; see `ivd run show " + string(runA) + "`\n"},
		api.Failed:    {1, "ivd: run " + string(runA) + " failed: all 2 disks failed, data-01 by: snapshot disk größe on datastore-53: no space left; see `ivd run show " + string(runA) + "`\n"},
		api.Cancelled: {1, "ivd: run " + string(runA) + " was cancelled; disks done before that stay done\n"},
	} {
		rooms := estate()
		url := serve(t, rooms)
		rooms.Next = backup(state)
		code, out, errs := do(t.Context(), cli.Extra{}, "backup", "--all", "--wait", "--server", url)
		if code != want.code || !strings.HasSuffix(errs, want.line) || !strings.Contains(out, "state    "+string(state)) {
			t.Errorf("%s: %d %q\n%s", state, code, errs, out)
		}
	}
}

// An interrupt ends the waiting and says how the run is followed or ended.
func TestInterruptedWaiting(t *testing.T) {
	rooms := estate()
	url := serve(t, rooms)
	p := start(t, "backup", "--all", "--wait", "--server", url)
	<-rooms.Watched(runA)
	p.signal(t, os.Interrupt)
	code, errs := p.wait(t)
	if code != 1 || !strings.Contains(errs, "run "+string(runA)+" goes on; follow it with `ivd run show "+string(runA)+" --follow`, end it with `ivd run cancel "+string(runA)+"`") {
		t.Errorf("%d %q", code, errs)
	}
	if v, _ := rooms.Run(t.Context(), runA); v.Cancelling {
		t.Error("the run was cancelled")
	}
}

// An interrupt ends the wait for a request that takes long, with how its end is found
// out; until then the command says what is being done.
func TestInterruptedRequests(t *testing.T) {
	for what, c := range map[string]struct {
		args []string
		says string
	}{
		"a deletion": {[]string{"snapshots", "delete", "snap-1"}, "ivd: no longer waiting: what vCenter has begun goes on; `ivd snapshots` lists the snapshot as long as it is there\n"},
		"a backup":   {[]string{"backup", "--all"}, "ivd: no longer waiting: whether the run has begun is not known; `ivd runs` lists those that have\n"},
		"a restore":  {[]string{"restore", string(pointA)}, "ivd: no longer waiting: whether the run has begun is not known; `ivd runs` lists those that have\n"},
		"a check":    {[]string{"points", "--check"}, "ivd: interrupted\n"},
	} {
		rooms := estate()
		rooms.Slow = "37%\x1b of it is done"
		p := start(t, append(c.args, "--server", serve(t, rooms))...)
		if line := p.errLine(t); line != "waiting: 37%\\x1b of it is done\n" {
			t.Errorf("%s: %q", what, line)
		}
		p.signal(t, os.Interrupt)
		if code, errs := p.wait(t); code != 1 || errs != c.says {
			t.Errorf("%s: %d %q", what, code, errs)
		}
	}
}

func TestCancel(t *testing.T) {
	rooms := estate()
	rooms.Put(backup(api.Running))
	rooms.Put(restore())
	url := serve(t, rooms)
	code, out, _ := do(t.Context(), cli.Extra{}, "run", "cancel", string(runA), "--server", url)
	if code != 0 || !strings.Contains(out, "being cancelled") {
		t.Errorf("%d %s", code, out)
	}
	if v, _ := rooms.Run(t.Context(), runA); !v.Cancelling {
		t.Error("the run was not cancelled")
	}
	if _, out, _ = do(t.Context(), cli.Extra{}, "run", "cancel", string(runB), "--server", url); !strings.Contains(out, "has ended already: done") {
		t.Errorf("%s", out)
	}
}

func TestServerAndTokenFromTheEnvironment(t *testing.T) {
	url := serve(t, estate())
	t.Setenv("IVD_SERVER", url)
	if code, _, errs := do(t.Context(), cli.Extra{}, "movers"); code != 0 {
		t.Errorf("%d %s", code, errs)
	}
	t.Setenv("IVD_SERVER", "http://ivd.example:8440")
	t.Setenv("IVD_TOKEN", "hush")
	code, _, errs := do(t.Context(), cli.Extra{}, "movers")
	if code != 2 || !strings.Contains(errs, "a token is not sent over plain HTTP") || strings.Contains(errs, "hush") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestExtraCommands(t *testing.T) {
	var lab cli.LabOptions
	var demo cli.DemoOptions
	var wrote []string
	extra := cli.Extra{
		Lab:  func(_ context.Context, o cli.LabOptions) error { lab = o; return nil },
		Demo: func(_ context.Context, o cli.DemoOptions) error { demo = o; return nil },
		LabWrite: func(_ context.Context, o cli.LabWriteOptions) error {
			b, err := io.ReadAll(o.Content)
			wrote = append(wrote, string(b))
			if o.Dir != "d" || o.Disk != string(diskA) || o.Offset != 1<<20 {
				t.Errorf("%+v", o)
			}
			return err
		},
	}
	file := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	write := []string{"lab", "write", "--dir", "d", "--disk", string(diskA), "--offset", "1MiB"}
	for _, args := range [][]string{
		{"lab", "--dir", "d", "--listen", "127.0.0.1:1", "--esx", "--disks", "3", "--disk-size", "5GiB"},
		{"demo", "--keep", "--disks", "2", "--size", "1MiB", "--repository", "dir:///r", "-o", "json"},
		append(write, "--file", file),
		append(write, "--random", "64KiB", "--seed", "7"),
		append(write, "--random", "65536", "--seed", "7"),
		append(write, "--random", "65536", "--seed", "8"),
	} {
		if code, _, errs := do(t.Context(), extra, args...); code != 0 {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	lab.Out, demo.Out, demo.Err = nil, nil, nil
	if lab != (cli.LabOptions{Dir: "d", Listen: "127.0.0.1:1", ESX: true, Disks: 3, DiskSize: 5 << 30}) {
		t.Errorf("lab %+v", lab)
	}
	if demo != (cli.DemoOptions{Keep: true, Disks: 2, Size: 1 << 20, Repository: "dir:///r", JSON: true}) {
		t.Errorf("demo %+v", demo)
	}
	if len(wrote) != 4 || wrote[0] != "content" || len(wrote[1]) != 64<<10 || wrote[1] != wrote[2] || wrote[1] == wrote[3] {
		t.Error("the same seed must give the same bytes, another one others")
	}
}

// eachCommand calls check with every command but cobra's own help.
func eachCommand(c *cobra.Command, check func(*cobra.Command)) {
	check(c)
	for _, sub := range c.Commands() {
		if sub.Name() != "help" {
			eachCommand(sub, check)
		}
	}
}

// Every command says what it does and shows how.
func TestEveryCommandHasHelp(t *testing.T) {
	eachCommand(cli.Root(cli.Extra{}), func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || c.Example == "" {
			t.Errorf("%s: short %q, example %q", c.CommandPath(), c.Short, c.Example)
		}
	})
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, _ := do(t.Context(), cli.Extra{}, "completion", shell); code != 0 || !strings.Contains(out, "ivd") {
			t.Errorf("completion %s: %d", shell, code)
		}
	}
}

func TestCompletionAsksTheServer(t *testing.T) {
	rooms := estate()
	rooms.Put(backup(api.Running))
	rooms.Put(restore())
	url := serve(t, rooms)
	for want, args := range map[string][]string{
		string(diskB):           {"backup", "--server", url, "--disk", ""},
		catalogue.Short(pointA): {"restore", "--server", url, ""},
		string(runB):            {"run", "show", "--server", url, ""},
		"yaml":                  {"disks", "-o", ""},
	} {
		if _, out, _ := do(t.Context(), cli.Extra{}, append([]string{"__complete"}, args...)...); !strings.Contains(out, want) {
			t.Errorf("%v: %s", args, out)
		}
	}
	twin := rooms.DiskList[0]
	twin.VCenter = "east"
	rooms.DiskList = append(rooms.DiskList, twin)
	if _, out, _ := do(t.Context(), cli.Extra{}, "__complete", "backup", "--server", url, "--disk", ""); !strings.HasPrefix(out, "lab/"+string(diskA)) || !strings.Contains(out, "\neast/"+string(diskA)) || !strings.Contains(out, "\n"+string(diskB)) {
		t.Errorf("of two disks with one id: %s", out)
	}
	if _, out, _ := do(t.Context(), cli.Extra{}, "__complete", "run", "cancel", "--server", url, ""); strings.Contains(out, string(runB)) {
		t.Errorf("a run that has ended is offered for cancelling: %s", out)
	}
}

// Disks are named as people name them, and one that is nowhere is no empty list.
func TestDisksByName(t *testing.T) {
	rooms := estate()
	url := serve(t, rooms)
	code, _, errs := do(t.Context(), cli.Extra{}, "backup", "--disk", "data-01", "--server", url)
	if code != 0 || len(rooms.Backups) != 1 || len(rooms.Backups[0].Disks) != 1 || rooms.Backups[0].Disks[0] != string(diskA) {
		t.Errorf("%d %q: %+v", code, errs, rooms.Backups)
	}
	code, out, errs := do(t.Context(), cli.Extra{}, "points", "--disk", "data-01", "--server", url)
	if code != 0 || strings.Count(out, "data-01") != 2 {
		t.Errorf("%d %q\n%s", code, errs, out)
	}
	for _, args := range [][]string{
		{"points", "--disk", "99999999-1111-4222-8333-444455556666"},
		{"points", "--disk", "nosuch"},
		{"backup", "--disk", "nosuch"},
		{"backup", "--disk", "99999999-1111-4222-8333-44445555666"},
		{"run", "show", "nosuch"},
		{"point", "show", "nosuch@latest"},
	} {
		code, out, errs := do(t.Context(), cli.Extra{}, append(args, "--server", url)...)
		if code != 1 || out != "" || !strings.Contains(errs, args[len(args)-1][:6]) {
			t.Errorf("%q: %d %q\n%s", args, code, errs, out)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{"help", "nosuch"}, {"help", "repo", "nosuch"}, {"repo", "nosuch"}, {"nosuch"}} {
		code, out, errs := do(t.Context(), cli.Extra{}, args...)
		if code != 2 || out != "" || !strings.Contains(errs, "nosuch") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: %d %q %q", args, code, out, errs)
		}
	}
	for _, args := range [][]string{{"help", "repo", "init"}, {"repo", "init", "--help"}, {"help"}, {"--help"}} {
		code, out, errs := do(t.Context(), cli.Extra{}, args...)
		if code != 0 || errs != "" || !strings.Contains(out, "ivd") || !strings.Contains(out, "--help") {
			t.Errorf("%q: %d %q %q", args, code, out, errs)
		}
	}
	code, out, _ := do(t.Context(), cli.Extra{}, "--version")
	if code != 0 || out != "ivd "+api.ThisBuild().Version+"\n" {
		t.Errorf("--version: %d %q", code, out)
	}
}

// One who forgets TLS, or asks for it where there is none, is told so.
func TestWrongScheme(t *testing.T) {
	plain := serve(t, estate())
	withTLS := httptest.NewTLSServer(http.NotFoundHandler())
	defer withTLS.Close()
	withTLS.Config.ErrorLog = log.New(io.Discard, "", 0)
	for server, remedy := range map[string]string{
		strings.Replace(plain, "http://", "https://", 1):       "http://: there is no TLS",
		strings.Replace(withTLS.URL, "https://", "http://", 1): "with https://",
	} {
		code, _, errs := do(t.Context(), cli.Extra{}, "movers", "--server", server)
		if code != 2 || !strings.Contains(errs, remedy) {
			t.Errorf("%s: %d %q", server, code, errs)
		}
	}
}
