package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ivdmover/coordinator/cli"
	"ivdmover/coordinator/serve"
	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/script"
	"ivdmover/mover/disk/disktest"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
)

// onPath has `ivd` find this program as its ivd-mover.
func onPath(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "ivd-mover")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv(asProgram, "1")
	t.Setenv(script.ProxyVariable, disktest.Proxy)
}

// whole is the place with a coordinator's part: a laboratory, and a queue of its own.
func (p *place) whole() {
	p.t.Helper()
	dir := p.t.TempDir()
	l, err := lab.Start(p.t.Context(), lab.Options{Dir: filepath.Join(dir, "lab")})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = l.Close() })
	r := l.Ready()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(r.Password), 0o600); err != nil {
		p.t.Fatal(err)
	}
	text, err := os.ReadFile(p.config)
	if err != nil {
		p.t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "queue:") {
			lines[i] = fmt.Sprintf("vcenters: [{ name: lab, url: %q, username: %q, password_file: %q, thumbprint: %q }]\napi: { listen: \"127.0.0.1:0\" }\nstate_dir: %q",
				r.URL, r.Username, password, r.Thumbprint, filepath.Join(dir, "state"))
		}
	}
	p.write(strings.Join(lines, "\n"))
}

// A configuration that its programs take is good, for each of the ways to ask.
func TestGoodConfiguration(t *testing.T) {
	p := newPlace(t)
	onPath(t)
	p.whole()
	for _, args := range [][]string{{}, {"--mover"}, {"--movers", "2"}} {
		var out, errs bytes.Buffer
		args = append([]string{"config", "check", "--config", p.config}, args...)
		if code := cli.Execute(t.Context(), args, cli.Streams{Out: &out, Err: &errs}, cli.Extra{}); code != 0 || out.String() != p.config+" is good\n" {
			t.Errorf("%q: %d, %q, %q", args, code, out.String(), errs.String())
		}
	}
	p.change("128MiB", "40MiB")
	for _, args := range [][]string{{"--mover"}, {"--movers", "2"}} {
		var out, errs bytes.Buffer
		code := cli.Execute(t.Context(), append([]string{"config", "check", "--config", p.config}, args...), cli.Streams{Out: &out, Err: &errs}, cli.Extra{})
		if n := strings.Count(errs.String(), "set mover.memory"); code != 2 || n != strings.Count(errs.String(), "\n") || n != len(args) {
			t.Errorf("%q: %d, %q", args, code, errs.String())
		}
	}
}

// A library that takes its process down is found by a check, too.
func TestCheckOfALibraryThatCrashes(t *testing.T) {
	p := newPlace(t)
	onPath(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "lib64"), 0o700); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(dir, "crash.c")
	if err := os.WriteFile(source, []byte("#include <stdlib.h>\n__attribute__((constructor)) static void crash(void) { abort(); }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-Wl,-soname,libvixDiskLib.so.8", "-o", filepath.Join(dir, "lib64", "libvixDiskLib.so.8"), source).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	p.change(p.libdir, dir)
	var out, errs bytes.Buffer
	code := cli.Execute(t.Context(), []string{"config", "check", "--config", p.config, "--mover"}, cli.Streams{Out: &out, Err: &errs}, cli.Extra{})
	if code != 2 || !strings.Contains(errs.String(), "ivd: mover proxy-1: the process that loads the library: exit status 2; the library took its process down: check mover.vddk.libdir") {
		t.Errorf("%d, %q", code, errs.String())
	}
}

// A mover that ends for good ends the coordinator that runs it, with its reason.
func TestMoverEndsItsCoordinatorForGood(t *testing.T) {
	p := newPlace(t)
	onPath(t)
	p.whole()
	p.change(p.libdir, "/nowhere")
	cfg, err := config.Load(p.config)
	if err != nil {
		t.Fatal(err)
	}
	err = serve.Run(t.Context(), cfg, serve.Options{Movers: 1, ConfigFile: p.config, Log: slog.New(slog.DiscardHandler)})
	if ivd.KindOf(err) != ivd.Invalid || !strings.Contains(err.Error(), "mover proxy-1-1: it ended for good: ") || !strings.Contains(err.Error(), "/nowhere") || !strings.Contains(err.Error(), "unpack VMware's VDDK") {
		t.Errorf("%v", err)
	}
}
