package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ivdmover/deploy/stage"
)

// oneLine runs a command of ivd that must fail with an exit status and one line on
// standard error that says these things.
func oneLine(t *testing.T, s *stage.Stage, status int, says []string, args ...string) {
	t.Helper()
	stdout, stderr, err := s.Command(t.Context(), args...)
	checkLine(t, "ivd "+strings.Join(args, " "), status, says, stdout, stderr, err)
}

func checkLine(t *testing.T, command string, status int, says []string, stdout, stderr string, err error) {
	t.Helper()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != status {
		t.Errorf("%s: %v, want exit status %d; it says %q %q", command, err, status, stdout, stderr)
		return
	}
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	last := lines[len(lines)-1]
	for _, want := range says {
		if !strings.Contains(last, want) {
			t.Errorf("%s says %q, want %q in it", command, last, want)
		}
	}
	for _, l := range lines[:len(lines)-1] {
		if !strings.Contains(l, "level=") { // what a service logs before is no part of the error
			t.Errorf("%s says more than one line: %q", command, l)
		}
	}
}

// rewrite changes the configuration file for the time of a call.
func rewrite(t *testing.T, s *stage.Stage, from, to string, call func()) {
	t.Helper()
	was, err := os.ReadFile(s.ConfigFile())
	must(t, err)
	if !bytes.Contains(was, []byte(from)) {
		t.Fatalf("the configuration has no %q", from)
	}
	must(t, os.WriteFile(s.ConfigFile(), bytes.Replace(was, []byte(from), []byte(to), 1), 0o600))
	call()
	must(t, os.WriteFile(s.ConfigFile(), was, 0o600))
}

// What a user can get wrong before anything runs: one line that says what to do.
func TestWrongSetUpIsOneClearLine(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	_, err := s.StartS3(t.Context())
	must(t, err)
	must(t, s.WriteConfig())
	config := s.ConfigFile()
	serve := []string{"serve", "--config", config}

	oneLine(t, s, 1, []string{"repo init"}, serve...)
	must(t, s.InitRepository(t.Context()))
	oneLine(t, s, 1, []string{"already"}, "repo", "init", "--config", config)

	wrong := strings.Repeat("AA:", 19) + "AA"
	cases := []struct {
		name, from, to string
		status         int
		says           []string
	}{
		{"unknown key", "policies:", "polices:", 2, []string{"polices", "policies"}},
		{"a feature that is not built", "cbt: enable", "schedule: daily", 1, []string{"schedule"}},
		{"wrong password file", "vcenter.password", "no.password", 2, []string{"no.password"}},
		{"wrong thumbprint", s.Lab.Thumbprint, wrong, 2, []string{wrong, s.Lab.Thumbprint}},
		{"no bucket", "s3://backups", "s3://nowhere", 1, []string{"nowhere"}},
	}
	for _, c := range cases {
		rewrite(t, s, c.from, c.to, func() {
			t.Run(c.name, func(t *testing.T) { oneLine(t, s, c.status, c.says, serve...) })
		})
	}
	wrongPassword := s.Path("etc", "vcenter.password")
	must(t, os.WriteFile(wrongPassword, []byte("not this\n"), 0o600))
	oneLine(t, s, 1, []string{"password"}, serve...)
	must(t, os.WriteFile(wrongPassword, []byte(s.Lab.Password+"\n"), 0o600))

	rewrite(t, s, s.Lab.VDDKLibDir, "/nowhere", func() {
		cmd := exec.Command(s.Program("ivd-mover"), "--config", config)
		out, err := cmd.CombinedOutput()
		checkLine(t, "ivd-mover", 1, []string{"/nowhere", "libdir"}, "", string(out), err)
	})
	object := s.Path("repository", "backups", "repo.json")
	body, err := os.ReadFile(object)
	must(t, err)
	newer := bytes.Replace(body, []byte(`"version":1`), []byte(`"version":9`), 1)
	newer = bytes.Replace(newer, []byte(`"version": 1`), []byte(`"version": 9`), 1)
	if bytes.Equal(newer, body) {
		t.Fatalf("repo.json has no version: %s", body)
	}
	must(t, os.WriteFile(object, newer, 0o600))
	oneLine(t, s, 1, []string{"9", "newer"}, serve...)
	swapped := newStage(t)
	swapped.Config.Plain = true
	must(t, swapped.WriteConfig())
	must(t, swapped.InitRepository(t.Context()))
	plain, err := os.ReadFile(swapped.Path("repository", "repo.json"))
	must(t, err)
	must(t, os.WriteFile(object, plain, 0o600))
	oneLine(t, s, 1, []string{"the repository is plain, and keys are given for it", "find out who changed it"}, serve...)
	must(t, os.WriteFile(object, body, 0o600))
	rewrite(t, s, "  passphrase_file: ", "  # ", func() {
		oneLine(t, s, 1, []string{"it is encrypted; set repository.passphrase_file"}, serve...)
	})

	oneLine(t, s.Keyless(), 1, []string{"credentials"}, serve...)
}

// What a user can get wrong while everything runs: nothing is lost and no snapshot
// stays.
func TestWrongRequestsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStage(t)
	disk, err := s.Owner.Create(ctx, "datastore1", "small", 8)
	must(t, err)
	must(t, s.GuestWrites(ctx, disk, 0, 1<<20, 1))
	coordinator, _ := serve(t, s, "m1")
	point := backup(t, s, coordinator).Disk("small").Point

	oneLine(t, s, 1, []string{"state", "another `ivd serve`"}, "serve", "--config", s.ConfigFile())
	oneLine(t, s, 1, []string{"nowhere", "datastore1"}, "restore", point, "--datastore", "nowhere")
	oneLine(t, s, 1, []string{"small", "--name"}, "restore", point, "--name", "small")
	oneLine(t, s, 2, []string{"unfinished", "--name"}, "restore", point, "--name", "ivdmover-restore-mine")
	oneLine(t, s, 1, []string{"ivd points"}, "restore", strings.Replace(point, "/2", "/1", 1))
	oneLine(t, s, 2, []string{"ivd points"}, "restore", "nonsense")
	oneLine(t, s, 1, []string{"ivd disks"}, "backup", "--disk", "00000000-0000-4000-8000-000000000000")
	oneLine(t, s, 1, []string{"nightly", "all"}, "backup", "--policy", "nightly")
	oneLine(t, s, 1, []string{"ivd runs"}, "run", "show", "no-such-run")
	oneLine(t, s, 2, nil, "backup")
	nothingLeft(t, s)
}

// A repository without space: the disk fails with that reason, nothing stays behind,
// and with space again the next backup is good.
func TestFullRepositoryIsAFailureAndNothingElse(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStage(t)
	disk, err := s.Owner.Create(ctx, "datastore1", "big", 64)
	must(t, err)
	must(t, s.GuestWrites(ctx, disk, 0, 40<<20, 1))
	folder := s.Path("repository")
	mount(t, folder, "size=24m")
	coordinator, _ := serve(t, s, "m1")

	id, err := s.Backup(ctx)
	must(t, err)
	r, err := s.Ended(ctx, coordinator, id, limit)
	if err == nil || r.State != "failed" || r.Disk("big").Failure == nil || !strings.Contains(r.Disk("big").Failure.Message, "space") {
		t.Fatalf("a backup to a full repository: %v, %+v", err, r)
	}
	nothingLeft(t, s)

	mount(t, folder, "remount,size=256m")
	flat, err := s.Flat(disk)
	must(t, err)
	restoreAndCompare(t, s, coordinator, backup(t, s, coordinator).Disk("big").Point, "back", flat)
}

// mount puts a file system of its own size at a folder until the test ends.
func mount(t *testing.T, folder, options string) {
	t.Helper()
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", folder).CombinedOutput()
	if err != nil {
		t.Fatalf("mount a tmpfs (the tests run as root): %v: %s", err, out)
	}
	if !strings.HasPrefix(options, "remount") {
		t.Cleanup(func() { _ = exec.Command("umount", "-l", folder).Run() })
	}
}
