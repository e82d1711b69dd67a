package main

import (
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/dir"
)

// An encrypted repository is opened by who knows its root key: from its configuration, or
// from the coordinator of its state folder, which it waits for.
func TestRootOfTheRepository(t *testing.T) {
	folder, root := newEncrypted(t)
	st, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	info, err := repo.ReadInfo(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Repeat("ab", 16)
	for _, c := range []struct {
		what            string
		configured, say string // by the coordinator of the state folder
		remote          bool   // the queue is another host's
		kind            ivd.Kind
	}{
		{"by the configuration", root, "", true, ""},
		{"by the coordinator", "", root + "\n", false, ""},
		{"by the coordinator, with another queue", "", root + "\n", true, ""},
		{"by the configuration against the coordinator", root, other + "\n", false, ""},
		{"another one", other, root + "\n", false, ivd.Corrupt},
		{"another one of the coordinator's", "", other + "\n", false, ivd.Corrupt},
		{"not yet", "", "", false, ivd.Transient},
		{"never", "", "", true, ivd.Denied},
		{"what is none", "", "x\n", false, ivd.Invalid},
	} {
		cfg := &config.Config{StateDir: t.TempDir()}
		cfg.Repository.Root = config.KeyID(c.configured)
		if cfg.Queue.URL = cfg.QueueURL(); c.remote {
			cfg.Queue.URL = "nats://127.0.0.1:1"
		}
		if c.say != "" {
			if err := os.WriteFile(cfg.RootFile(), []byte(c.say), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		known, err := rootOf(cfg)
		if err == nil {
			_, err = sealedWith(cfg, st, info, known)
		}
		if ivd.KindOf(err) != c.kind || (err == nil) != (c.kind == "") {
			t.Errorf("%s: %v, want kind %q", c.what, err, c.kind)
		}
		if err != nil && ivd.RemedyOf(err) == "" {
			t.Errorf("%s: no remedy", c.what)
		}
	}
}

// A mover that waits for the keys of an encrypted repository ends in order.
func TestMoverWithoutKeysEndsInOrder(t *testing.T) {
	p := newPlace(t)
	folder, root := newEncrypted(t)
	text, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	start := strings.Index(string(text), "repository: {")
	end := start + strings.Index(string(text)[start:], "\n")
	p.write(string(text[:start]) + `repository: { url: "dir://` + folder + `", root: ` + root + ` }` + string(text[end:]))
	cmd, output := p.start()
	p.beat("")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(output) // until both processes have ended
	if err != nil {
		t.Fatalf("%v after %s", err, said)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(string(said), "the mover has ended") || strings.Contains(string(said), "panic") {
		t.Errorf("it ended with %v: %s", err, said)
	}
}
