package cli_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/repo"
	storedir "ivdmover/shared/store/dir"
)

// process is a binary that runs; its outputs are read by line or whole.
type process struct {
	cmd       *exec.Cmd
	out, errs *bufio.Reader
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // it has long ended, unless it hangs
	t.Cleanup(cancel)
	p := &process{cmd: exec.CommandContext(ctx, program, args...)}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out, p.errs = bufio.NewReader(out), bufio.NewReader(errs)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// line is the next line of standard output, errLine of standard error.
func (p *process) line(t *testing.T) string { return lineOf(t, p.out) }

func (p *process) errLine(t *testing.T) string { return lineOf(t, p.errs) }

func lineOf(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	return line
}

// wait gives the exit code and what is left of standard error.
func (p *process) wait(t *testing.T) (int, string) {
	t.Helper()
	errs, err := io.ReadAll(p.errs)
	if err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // the exit code says it
	return p.cmd.ProcessState.ExitCode(), string(errs)
}

// nobody is an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Wrong input ends with the right code and one line that says what to do.
func TestWrongInput(t *testing.T) {
	silent := nobody(t)
	unknownKey := write(t, "unknown.yaml", "repository:\n  url: dir:///tmp\nquue:\n  url: nats://x\n")
	wrongTwice := write(t, "twice.yaml", "api: { lisen: x }\nmover: { handels: 3 }\n")
	noFolder := write(t, "folder.yaml", "repository: { url: dir:///nowhere/at/all }\n")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"diks"}, 2, "unknown command \"ivd diks\"; did you mean `ivd disks`?"},
		{[]string{"run", "shwo", "x"}, 2, "did you mean `ivd run show`?"},
		{[]string{"runs", "--fast"}, 2, "unknown flag: --fast; see `ivd runs --help`"},
		{[]string{"--fast"}, 2, "unknown flag: --fast; see `ivd --help`"},
		{[]string{"disks", "x"}, 2, "ivd disks takes no argument, and got \"x\""},
		{[]string{"disks", "-o", "xml"}, 2, "want table, json, yaml"},
		{[]string{"run", "show"}, 2, "ivd run show needs a RUN; see `ivd run show --help`"},
		{[]string{"run", "show", "a", "b"}, 2, "takes one RUN"},
		{[]string{"backup"}, 2, "give --all, --policy or --disk"},
		{[]string{"backup", "--all", "--policy", "p"}, 2, "give one of"},
		{[]string{"backup", "x"}, 2, "name disks with --disk"},
		{[]string{"backup", "--disk", ""}, 2, "ivd backup needs to know which disks"},
		{[]string{"points", "--disk", ""}, 2, "ivd points --disk needs a disk's id or name"},
		{[]string{"point", "show", "x"}, 2, "as `ivd points` lists it"},
		{[]string{"restore", "x"}, 2, "as `ivd points` lists it"},
		{[]string{"serve", "--movers", "-1"}, 2, "want 0 or more"},
		{[]string{"lab"}, 2, "ivd lab needs --dir"},
		{[]string{"lab", "write", "--dir", "d"}, 2, "ivd lab write needs --disk"},
		{[]string{"lab", "write", "--dir", "d", "--disk", string(diskA), "--offset", "0"}, 2, "one of --file and --random"},
		{[]string{"demo", "--size", "3X"}, 2, "want a number with KiB"},
		{[]string{"demo", "-o", "yaml"}, 2, "table or json"},
		{[]string{"completion", "tcsh"}, 2, "want bash, zsh, fish or powershell"},
		{[]string{"man", "/nowhere/at/all"}, 2, "name a folder that exists"},
		{[]string{"runs", "--server", silent}, 1, "no answer from " + silent + ": connection refused; is `ivd serve` running?"},
		{[]string{"runs", "--server", "localhost"}, 2, "give a URL such as http://127.0.0.1:8440"},
		{[]string{"repo", "info", "--server", silent}, 1, "is `ivd serve` running?"},
		{[]string{"serve", "--config", "/nowhere.yaml"}, 2, "open /nowhere.yaml: no such file or directory"},
		{[]string{"serve", "--config", unknownKey}, 2, "unknown.yaml:3: quue: unknown key: did you mean queue?"},
		{[]string{"serve", "--log-level", "loud", "--config", noFolder}, 2, "use debug, info, warn or error"},
		{[]string{"config", "check", "--config", unknownKey}, 2, "unknown.yaml:3: quue: unknown key"},
		{[]string{"repo", "init", "--plain", "--config", noFolder}, 2, "mkdir -p /nowhere/at/all"},
		{[]string{"config", "check", "--config", wrongTwice}, 2, "lisen"},
	} {
		code, out, errs := ivdBinary(t, c.args...)
		lines := strings.Count(errs, "\n")
		wantLines := 1
		if strings.Contains(strings.Join(c.args, " "), wrongTwice) {
			wantLines = 2
		}
		if code != c.code || lines != wantLines || !strings.HasPrefix(errs, "ivd: ") || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("ivd %s: exit code %d, %d lines, out %q\n%swant %d with %q", strings.Join(c.args, " "), code, lines, out, errs, c.code, c.want)
		}
	}
}

func TestRepositoryIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	config := write(t, "ivd.yaml", fmt.Sprintf("repository: { url: \"dir://%s\" }\n", dir))
	if code, _, errs := ivdBinary(t, "repo", "info", "--config", config); code != 1 || !strings.Contains(errs, "run `ivd repo init`") {
		t.Errorf("info before init: %d %s", code, errs)
	}
	code, out, errs := ivdBinary(t, "repo", "init", "--plain", "--config", config)
	if code != 0 || errs != "" || !strings.HasPrefix(out, "created repository ") {
		t.Fatalf("init: %d %s %s", code, out, errs)
	}
	id := strings.Fields(out)[2]
	if code, out, _ = ivdBinary(t, "repo", "info", "--config", config, "-o", "json"); code != 0 || !strings.Contains(out, `"id": "`+id+`"`) {
		t.Errorf("info: %d %s", code, out)
	}
	if code, _, errs = ivdBinary(t, "repo", "init", "--plain", "--config", config); code != 1 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "there is one already") {
		t.Errorf("init again: %d %s", code, errs)
	}
	if code, out, _ = ivdBinary(t, "repo", "info", "--config", config); code != 0 || !strings.Contains(out, id) {
		t.Errorf("init again changed it: %d %s", code, out)
	}
}

// An adopted repository has another incarnation, and no leases of before.
func TestRepositoryIsAdopted(t *testing.T) {
	dir := t.TempDir()
	config := write(t, "ivd.yaml", fmt.Sprintf("repository: { url: \"dir://%s\" }\n", dir))
	if code, _, errs := ivdBinary(t, "repo", "adopt", "--config", config); code != 1 || !strings.Contains(errs, "run `ivd repo init`") {
		t.Errorf("before init: %d %s", code, errs)
	}
	if code, _, errs := ivdBinary(t, "repo", "init", "--plain", "--config", config); code != 0 {
		t.Fatal(errs)
	}
	st, err := storedir.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	r, err := repo.Open(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	l, err := r.OpenLease(t.Context(), repo.LeaseSpec{})
	if err != nil {
		t.Fatal(err)
	}
	before := r.Info()
	code, out, errs := ivdBinary(t, "repo", "adopt", "--config", config, "-o", "json")
	var got struct {
		ID          string   `json:"id"`
		Generation  uint64   `json:"generation"`
		Incarnation string   `json:"incarnation"`
		Before      string   `json:"incarnation_before"`
		Dropped     []string `json:"dropped_leases"`
		Kept        []any    `json:"kept_leases"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || errs != "" {
		t.Fatalf("%d %s %s: %v", code, out, errs, err)
	}
	if got.ID != before.ID || got.Generation != 2 || got.Before != string(before.Incarnation) || got.Incarnation == got.Before || got.Incarnation == "" ||
		len(got.Dropped) != 1 || got.Dropped[0] != string(l.ID) || got.Kept == nil {
		t.Errorf("%+v", got)
	}
	if err := st.Put(t.Context(), "leases/odd", []byte("of a later release")); err != nil {
		t.Fatal(err)
	}
	code, out, errs = ivdBinary(t, "repo", "adopt", "--config", config)
	if code != 0 || errs != "" || !strings.Contains(out, "generation 3; 0 leases dropped\nlease odd cannot be read") {
		t.Errorf("again: %d %s %s", code, out, errs)
	}
}

func TestConfigReferenceIsGood(t *testing.T) {
	code, out, _ := ivdBinary(t, "config", "reference")
	if code != 0 {
		t.Fatal(code)
	}
	if code, _, errs := ivdBinary(t, "config", "check", "--config", write(t, "ivd.yaml", out)); code != 2 || !strings.Contains(errs, "/etc/ivd/vcenter.password") {
		t.Errorf("without the secret: %d %s", code, errs)
	}
	out = strings.ReplaceAll(out, "/etc/ivd/vcenter.password", write(t, "secret", "hunter2\n"))
	if code, _, errs := ivdBinary(t, "config", "check", "--config", write(t, "ivd.yaml", out)); code != 0 {
		t.Errorf("%d %s", code, errs)
	}
}

func TestVersionAndHelp(t *testing.T) {
	if code, out, errs := ivdBinary(t, "version", "-o", "json"); code != 0 || errs != "" || !strings.Contains(out, `"go": "go1.`) {
		t.Errorf("%d %s %s", code, out, errs)
	}
	for _, args := range [][]string{{}, {"--help"}, {"run"}, {"help", "backup"}, {"backup", "--help"}} {
		if code, out, errs := ivdBinary(t, args...); code != 0 || errs != "" || !strings.Contains(out, "Examples:") {
			t.Errorf("%v: %d %q %q", args, code, out, errs)
		}
	}
}
