package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ivdmover/deploy/stage"
)

// accounts returns what the documents say of the accounts of a NATS server.
func accounts(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	_, part, found := strings.Cut(string(text), "\naccounts {\n")
	part, _, ended := strings.Cut(part, "\n}\n")
	if !found || !ended {
		t.Fatalf("%s gives no accounts", file)
	}
	return part
}

// natsServer starts a NATS server as the containers have it, with users that are made as
// theirs are, and has the stage use it. As is asked for one of them.
func natsServer(t *testing.T, s *stage.Stage) (as func(user string)) {
	t.Helper()
	docker, err := filepath.Abs("../docker")
	must(t, err)
	if accounts(t, filepath.Join(docker, "nats.conf")) != accounts(t, "../../docs/security.md") {
		t.Error("the containers' NATS has other accounts than the documents give")
	}
	for program, from := range map[string]string{"nats-server": "github.com/nats-io/nats-server/v2", "nk": "github.com/nats-io/nkeys/nk"} {
		build := exec.Command("go", "build", "-o", s.Path("bin", program), from)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", program, err, out)
		}
	}
	for _, folder := range []string{"nats", "coordinator", "mover"} {
		must(t, os.MkdirAll(s.Path("keys", folder), 0o700))
	}
	makeKeys := func() []byte {
		keys := exec.Command("sh", filepath.Join(docker, "keys.sh"), filepath.Join(docker, "nats.conf"), s.Path("keys", "nats"), s.Path("keys", "coordinator"), s.Path("keys", "mover"))
		keys.Env = append(os.Environ(), "PATH="+s.Path("bin")+":"+os.Getenv("PATH"))
		if out, err := keys.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("make the keys: %v, it says %q", err, out)
		}
		text, err := os.ReadFile(s.Path("keys", "nats", "nats.conf"))
		must(t, err)
		return text
	}
	s.Config.Passphrase = s.Path("keys", "coordinator", "repository.passphrase")
	text := makeKeys()
	passphrase, err := os.ReadFile(s.Config.Passphrase)
	must(t, err)
	if !bytes.Equal(makeKeys(), text) {
		t.Error("the second start has changed the keys")
	}
	if again, err := os.ReadFile(s.Config.Passphrase); err != nil || !bytes.Equal(again, passphrase) || len(passphrase) != 40 {
		t.Errorf("the second start has made passphrase %q of %q, %v", again, passphrase, err)
	}
	for _, secret := range []string{"coordinator/queue.nk", "mover/queue.nk", "coordinator/repository.passphrase"} {
		info, err := os.Stat(s.Path("keys", secret))
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s is open to others: %v", secret, info.Mode())
		}
	}
	address, err := stage.FreePort()
	must(t, err)
	for from, to := range map[string]string{"127.0.0.1:4222": address, "store_dir: /data": "store_dir: " + s.Path("nats")} {
		if !bytes.Contains(text, []byte(from)) {
			t.Fatalf("the containers' NATS has no %q", from)
		}
		text = bytes.Replace(text, []byte(from), []byte(to), 1)
	}
	conf := s.Path("keys", "nats", "test.conf")
	must(t, os.WriteFile(conf, text, 0o600))
	_, err = s.StartNATS(s.Path("bin", "nats-server"), conf)
	must(t, err)
	return func(user string) {
		s.Config.Queue = fmt.Sprintf("url: nats://%s, creds_file: %s", address, s.Path("keys", user, "queue.nk"))
	}
}
