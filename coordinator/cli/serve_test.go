package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Two coordinators on one state folder: the second says so and ends; an interrupt
// ends the first one cleanly. The laboratory prints its one line of JSON.
func TestServeBinary(t *testing.T) {
	dir := t.TempDir()
	l := start(t, "lab", "--dir", filepath.Join(dir, "lab"), "--disks", "2", "--disk-size", "1MiB")
	config := configOf(t, l, dir)
	if code, _, errs := ivdBinary(t, "repo", "init", "--plain", "--config", config); code != 0 {
		t.Fatal(errs)
	}
	first := start(t, "serve", "--config", config, "--log-format", "json")
	var log struct{ Msg, API string }
	for log.Msg != "the coordinator is ready" {
		if err := json.Unmarshal([]byte(first.errLine(t)), &log); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errs := ivdBinary(t, "disks", "--server", log.API, "--token-file", filepath.Join(dir, "state", "api.token"))
	if code != 0 || strings.Count(out, "\n") != 3 {
		t.Errorf("disks: %d %s %s", code, out, errs)
	}
	info, err := os.Stat(filepath.Join(dir, "state", "api.token"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info, err)
	}
	if code, _, errs := ivdBinary(t, "disks", "--server", log.API); code != 1 || !strings.Contains(errs, "no token") {
		t.Errorf("disks for another user: %d %s", code, errs)
	}
	code, _, errs = ivdBinary(t, "serve", "--config", config)
	if want := "ivd: state folder " + filepath.Join(dir, "state") + ": another `ivd serve` uses it; end that one, or set another state_dir\n"; code != 1 || errs != want {
		t.Errorf("a second coordinator: %d %q", code, errs)
	}
	first.signal(t, os.Interrupt)
	if code, errs := first.wait(t); code != 0 || strings.Contains(errs, "ivd: ") {
		t.Errorf("an interrupted coordinator: %d %s", code, errs)
	}
	code, _, errs = ivdBinary(t, "disks", "--server", log.API, "--token-file", filepath.Join(dir, "state", "api.token"))
	if code != 1 || !strings.Contains(errs, "is `ivd serve` running?") {
		t.Errorf("disks without it: %d %s", code, errs)
	}
	l.signal(t, os.Interrupt)
	if code, errs := l.wait(t); code != 0 || errs != "" {
		t.Errorf("an interrupted laboratory: %d %s", code, errs)
	}
}

// While the first interrupt waits for a mover that does not end, a second one ends
// the coordinator at once.
func TestSecondInterrupt(t *testing.T) {
	dir := t.TempDir()
	l := start(t, "lab", "--dir", filepath.Join(dir, "lab"))
	config := configOf(t, l, dir)
	if code, _, errs := ivdBinary(t, "repo", "init", "--plain", "--config", config); code != 0 {
		t.Fatal(errs)
	}
	gate := filepath.Join(dir, "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "ivd-mover"), []byte("#!/bin/sh\ntrap '' TERM\necho it is here >&2\nread line < "+gate+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	p := start(t, "serve", "--config", config, "--movers", "1")
	for p.errLine(t) != "it is here\n" {
	}
	p.signal(t, os.Interrupt)
	for !strings.Contains(p.errLine(t), "movers are asked to end") {
	}
	p.signal(t, os.Interrupt)
	release, err := os.OpenFile(gate, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	state, err := p.cmd.Process.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if s := state.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != syscall.SIGINT {
		t.Errorf("it ended with %v", state)
	}
	if err := release.Close(); err != nil {
		t.Fatal(err)
	}
	l.signal(t, os.Interrupt)
	if code, errs := l.wait(t); code != 0 {
		t.Errorf("an interrupted laboratory: %d %s", code, errs)
	}
}

// configOf is a configuration for the laboratory, once it is ready, with all else
// in the folder.
func configOf(t *testing.T, l *process, dir string) string {
	t.Helper()
	var ready struct{ URL, Username, Password, Thumbprint string }
	if err := json.Unmarshal([]byte(l.line(t)), &ready); err != nil || ready.URL == "" {
		t.Fatalf("%+v, %v", ready, err)
	}
	return write(t, "ivd.yaml", fmt.Sprintf(`
vcenters: [{ name: lab, url: %q, username: %q, password_file: %q, thumbprint: %q }]
repository: { url: "dir://%s" }
mover: { name: m }
api: { listen: "127.0.0.1:0" }
state_dir: %q
`, ready.URL, ready.Username, write(t, "password", ready.Password), ready.Thumbprint, dir, filepath.Join(dir, "state")))
}
