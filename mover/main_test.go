package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ivdmover/coordinator/broker"
	"ivdmover/coordinator/cli"
	"ivdmover/deploy/lab/script"
	"ivdmover/mover/disk/disktest"
	"ivdmover/shared/format"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/dir"
)

// The test binary is the program as well, its child included.
const asProgram = "IVD_MOVER_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// place is a queue, a repository and a configuration that names them.
type place struct {
	t      *testing.T
	server *broker.Server
	queue  *queue.Queue
	config string
	libdir string
	folder string // of the repository
}

// newQueue is one that listens, and a connection to it.
func newQueue(t *testing.T) (*broker.Server, *queue.Queue) {
	t.Helper()
	s, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	q, err := queue.Connect(t.Context(), queue.Options{InProcess: s, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return s, q
}

func newPlace(t *testing.T) *place {
	t.Helper()
	libdir, err := disktest.Build()
	if err != nil {
		t.Fatal(err)
	}
	s, q := newQueue(t)
	if err := q.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	st, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Init(t.Context(), st, repo.InitOptions{}); err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, server: s, queue: q, libdir: libdir, folder: folder, config: filepath.Join(t.TempDir(), "ivd.yaml")}
	p.write(fmt.Sprintf(`
repository: { url: "dir://%s" }
queue: { url: "%s", creds_file: "%s" }
mover:
  name: proxy-1
  handles: 2
  memory: 128MiB
  vddk: { libdir: "%s", transports: [nbdssl], temp_dir: "%s" }
`, folder, s.ClientURL(), creds(t, s, "proxy-2"), libdir, filepath.Join(t.TempDir(), "vddk")))
	return p
}

// newEncrypted is the folder of an encrypted repository, and its root key's id.
func newEncrypted(t *testing.T) (folder, root string) {
	t.Helper()
	folder = t.TempDir()
	st, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Init(t.Context(), st, repo.InitOptions{Passphrase: "a passphrase", Argon2: format.Argon2{Time: 1, Memory: 8 << 10, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return folder, r.Root().String()
}

func (p *place) write(text string) {
	p.t.Helper()
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// change replaces a part of the configuration.
func (p *place) change(from, to string) {
	p.t.Helper()
	text, err := os.ReadFile(p.config)
	if err != nil {
		p.t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		p.t.Fatalf("%q is not in the configuration", from)
	}
	p.write(strings.Replace(string(text), from, to, 1))
}

func program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "LD_LIBRARY_PATH=") })
	cmd.Env = append(env, asProgram+"=1", script.ProxyVariable+"="+disktest.Proxy)
	return cmd
}

func TestWhatIsWrongIsSaidInOneLine(t *testing.T) {
	p := newPlace(t)
	p.change(creds(t, p.server, "proxy-2"), creds(t, p.server, "proxy-1")) // it is not called otherwise here
	onPath(t)
	bad := newBadLibraries(t, p.libdir)
	library := func(folder string) func() { return func() { p.change(p.libdir, folder) } }
	settings := func(file string) func() {
		return func() { p.change("vddk: {", `vddk: { config_file: "`+file+`",`) }
	}
	encrypted, root := newEncrypted(t)
	for _, c := range []struct {
		name  string
		spoil func()
		args  []string
		code  int
		says  []string
	}{
		{"no configuration", nil, []string{}, exitUsage, []string{"--config"}},
		{"an unknown flag", nil, []string{"--naem", "x"}, exitUsage, []string{"--naem", "--help"}},
		{"an argument too many", nil, []string{"run"}, exitUsage, []string{"run"}},
		{"a file that is not there", nil, []string{"--config", "/nowhere.yaml"}, exitUsage, []string{"/nowhere.yaml"}},
		{"the child's command from outside", nil, []string{childCommand, "--config", p.config}, exitUsage, []string{"supervisor"}},
		{"an unknown key", func() { p.change("handles:", "handels:") }, nil, exitUsage, []string{"handels", "handles"}},
		{"memory for fewer handles", func() { p.change("128MiB", "40MiB") }, nil, exitUsage, []string{"mover.memory", "mover.handles to 1"}},
		{"memory for smaller requests", func() { p.change("128MiB", "64MiB"); p.change("[nbdssl]", "[hotadd, nbdssl]") }, nil, exitUsage, []string{"set mover.memory to 68MiB"}},
		{"a library that is not there", func() { p.change("libdir: \"", "libdir: \"/nowhere") }, nil, exitFailed, []string{"/nowhere", "unpack VMware's VDDK"}},
		{"lib64 instead of what contains it", func() { p.change(p.libdir, p.libdir+"/lib64") }, nil, exitFailed, []string{"it is the lib64 inside", "vddk.libdir to " + p.libdir + "\n"}},
		{"a folder without a library", library(bad.none), nil, exitFailed, []string{bad.none, "no libvixDiskLib.so.6 to .9", "unpack VMware's VDDK"}},
		{"a library of another architecture", library(bad.foreign), nil, exitFailed, []string{"EM_AARCH64", "for Linux on x86-64"}},
		{"a library that is cut off", library(bad.cut), nil, exitFailed, []string{bad.cut, "unpack the distribution again"}},
		{"a library without a companion", library(bad.lonely), nil, exitFailed, []string{"libcompanion.so.1", "unpack the distribution again", "lib64"}},
		{"a library without the companion that it loads itself", library(bad.torn), nil, exitFailed, []string{"libvixlabtls.so.1", "unpack the distribution again"}},
		{"a library from before 6.7", library(bad.old), nil, exitFailed, []string{"VDDK 6.5.4", "cannot address disks of their own", "install VDDK 6.7 or newer"}},
		{"a library of the right version without what IVDs need", library(bad.without), nil, exitFailed, []string{"VDDK 8.0.0", "it has no VixDiskLib_AllocateConnectParams", "take a library that has this function"}},
		{"VDDK's configuration cannot be read", settings("/nowhere.conf"), nil, exitFailed, []string{"mover.vddk.config_file", "/nowhere.conf", "lines NAME=VALUE"}},
		{"it is a folder", settings(bad.none), nil, exitFailed, []string{"mover.vddk.config_file", bad.none, "lines NAME=VALUE"}},
		{"its buffers are too large", settings(bad.settings), nil, exitFailed, []string{"BufSizeIn64KB", "16 MiB", "BufCount to 4"}},
		{"a transport that there is not", func() { p.change("[nbdssl]", "[sna]") }, nil, exitUsage, []string{"sna", "san", "hotadd, nbdssl, nbd"}},
		{"credentials for the queue that are not there", func() { p.change("creds_file: \"", "creds_file: \"/nowhere") }, nil, exitUsage, []string{"queue.creds_file", "/nowhere"}},
		{"keys of the store that are not there", func() {
			p.change("dir://", "s3://bucket/")
			p.change(" }", ", endpoint: 'http://127.0.0.1:1', credentials_file: /nowhere }")
		}, nil, exitUsage, []string{"/nowhere"}},
		{"a folder of VDDK's that cannot be made", func() { p.change("temp_dir: \"", "temp_dir: \"/dev/null/") }, nil, exitFailed, []string{"/dev/null/"}},
		{"a repository of another root", func() { p.change(" }", ", root: 00112233445566778899aabbccddeeff }") }, nil, exitFailed, []string{"repo.json says that the repository is plain, and repository.root is 00112233445566778899aabbccddeeff"}},
		{"an encrypted repository whose root is not known", func() { p.change(p.folder, encrypted) }, nil, exitFailed, []string{"it is encrypted", "set repository.root to " + root}},
		{"an encrypted repository of another root", func() { p.change(p.folder+`" }`, encrypted+`", root: 00112233445566778899aabbccddeeff }`) }, nil, exitFailed, []string{"its root key is " + root, "repository.root is 00112233445566778899aabbccddeeff"}},
		{"no repository", func() { p.change("dir://", "dir:///nowhere") }, nil, exitFailed, []string{"nowhere"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole, err := os.ReadFile(p.config)
			if err != nil {
				t.Fatal(err)
			}
			defer p.write(string(whole))
			if c.spoil != nil {
				c.spoil()
			}
			args := c.args
			if args == nil {
				args = []string{"--config", p.config, "--log-level", "error"}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			cmd := program(ctx, args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			_ = cmd.Run() // its status is what is looked at
			text := stderr.String()
			if cmd.ProcessState.ExitCode() != c.code || strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "ivd-mover: ") {
				t.Errorf("status %d, want %d; it said %q", cmd.ProcessState.ExitCode(), c.code, text)
			}
			if c.args == nil && !strings.Contains(c.name, "repository") {
				p.checks(ctx, c.code, text)
			}
			for _, s := range c.says {
				if !strings.Contains(text, s) {
					t.Errorf("%q does not say %q", text, s)
				}
			}
			if c.code != exitFailed {
				return
			}
			// The coordinator, on another host perhaps, hears it too.
			m, err := p.queue.Mover(ctx, "proxy-1")
			if err != nil || "ivd-mover: "+m.Ended+"\n" != text || m.Host == "" || m.Handles != 0 {
				t.Errorf("%v: its last heartbeat is %+v", err, m)
			}
		})
	}
}

// checks compares what a check says with what a mover has ended of.
func (p *place) checks(ctx context.Context, code int, want string) {
	p.t.Helper()
	cmd := program(ctx, "check", "--config", p.config, "--log-level", "error")
	var said bytes.Buffer
	cmd.Stderr = &said
	_ = cmd.Run() // its status is what is looked at
	if said.String() != want || cmd.ProcessState.ExitCode() != code {
		p.t.Errorf("check: status %d, %q", cmd.ProcessState.ExitCode(), said.String())
	}
	var out, errs bytes.Buffer
	got := cli.Execute(ctx, []string{"config", "check", "--mover", "--config", p.config}, cli.Streams{Out: &out, Err: &errs}, cli.Extra{})
	reason := strings.TrimPrefix(want, "ivd-mover: ")
	last := errs.String()[strings.LastIndex("\n"+strings.TrimSuffix(errs.String(), "\n"), "\n"):] // behind the mover's log
	if got != 2 || out.Len() != 0 || !strings.HasPrefix(last, "ivd: ") || !strings.HasSuffix(last, reason) || strings.Count(errs.String(), "ivd: ") != 1 {
		p.t.Errorf("ivd config check: status %d, %q, %q", got, out.String(), errs.String())
	}
}

// beat waits for a heartbeat of another process than before.
func (p *place) beat(before string) job.Mover {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		movers, _, err := p.queue.Movers(ctx)
		if err == nil && len(movers) == 1 && movers[0].Process != before {
			return movers[0]
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.t.Fatalf("no heartbeat of another process than %q: %v, %v", before, movers, err)
		}
	}
}

// childOf is the number of a process's only child.
func childOf(t *testing.T, parent int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatalf("children of %d: %q", parent, text)
	}
	return pid
}

func (p *place) start() (cmd *exec.Cmd, output io.Reader) {
	p.t.Helper()
	cmd = program(p.t.Context(), "--config", p.config, "--name", "proxy-2")
	r, w, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	w.Close()
	p.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); r.Close() })
	if err := r.SetReadDeadline(time.Now().Add(60 * time.Second)); err != nil {
		p.t.Fatal(err)
	}
	return cmd, r
}

func TestAKilledChildIsReplacedAndASignalEndsBoth(t *testing.T) {
	p := newPlace(t)
	cmd, output := p.start()
	first := p.beat("")
	if first.Name != "proxy-2" || first.Handles != 2 || first.Free != 2 || len(first.Modes) != 1 || first.VDDK == "" {
		t.Errorf("heartbeat %+v", first)
	}
	if err := syscall.Kill(childOf(t, cmd.Process.Pid), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.beat(first.Process)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(output) // until both have ended
	if err != nil {
		t.Fatalf("%v after %s", err, text)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v: %s", err, text)
	}
	if movers, _, err := p.queue.Movers(t.Context()); err != nil || len(movers) != 0 {
		t.Errorf("its heartbeat stays: %v, %v", movers, err)
	}
	if strings.Contains(string(text), "level=ERROR") {
		t.Errorf("it said %s", text)
	}
}

func TestAKilledParentTakesItsChildAlong(t *testing.T) {
	p := newPlace(t)
	cmd, output := p.start()
	p.beat("")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(output); err != nil { // the child holds the pipe's other end
		t.Fatalf("the child lives on: %v after %s", err, text)
	}
}

// Logins are in both processes: neither leaves a core file, nor lets another process of
// the same user read its memory.
func TestNoSecretGoesIntoACoreFile(t *testing.T) {
	p := newPlace(t)
	cmd, _ := p.start()
	p.beat("")
	for _, pid := range []int{cmd.Process.Pid, childOf(t, cmd.Process.Pid)} {
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
			t.Errorf("process %d: %s", pid, limits)
		}
	}
}

func TestTheLibrarysPathIsTheChildsAlone(t *testing.T) {
	p := newPlace(t)
	cmd, _ := p.start()
	p.beat("")
	has := func(pid int) bool {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(env, []byte("LD_LIBRARY_PATH="))
	}
	if has(cmd.Process.Pid) || !has(childOf(t, cmd.Process.Pid)) {
		t.Errorf("parent %t, child %t", has(cmd.Process.Pid), has(childOf(t, cmd.Process.Pid)))
	}
	maps := func(pid int) bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(text, []byte("libvixDiskLib"))
	}
	if maps(cmd.Process.Pid) || !maps(childOf(t, cmd.Process.Pid)) {
		t.Error("the library is not in the child alone")
	}
}

// creds is the file that lets a mover into a server.
func creds(t testing.TB, s *broker.Server, mover string) string {
	t.Helper()
	file, err := s.MoverCreds(mover)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
