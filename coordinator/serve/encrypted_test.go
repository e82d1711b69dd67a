package serve_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ivdmover/coordinator/serve"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
)

const passphrase = "orbit velvet mango thirteen"

// encrypt puts an encrypted repository in the place of the world's. Its configuration
// names no keys yet.
func (w *world) encrypt(t *testing.T) *repo.Repository {
	t.Helper()
	folder := filepath.Join(w.dir, "repository")
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	st, err := open.New(t.Context(), w.config(t, "").Repository)
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Init(t.Context(), st, repo.InitOptions{Passphrase: passphrase, Argon2: format.Argon2{Time: 1, Memory: 8 << 10, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// keyed adds keys of the repository to the configuration.
func (w *world) keyed(keys string) {
	w.text = strings.Replace(w.text, `/repository" }`, `/repository", `+keys+` }`, 1)
}

// With a passphrase in its file, a coordinator serves an encrypted repository, and says so
// nowhere.
func TestServesAnEncryptedRepository(t *testing.T) {
	w := newWorld(t)
	root := w.encrypt(t).Root()
	w.write(t, "passphrase", passphrase+"\n")
	w.keyed("passphrase_file: " + filepath.Join(w.dir, "passphrase") + ", root: " + root.String())
	var log bytes.Buffer
	client, stop := w.start(t, serve.Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	info, err := client.Repository(t.Context())
	if err != nil || info.Root != root || info.Cipher != "aes-256-gcm" {
		t.Errorf("%+v, %v", info, err)
	}
	if err := stop(); err != nil || !strings.Contains(log.String(), "the coordinator is ready") || strings.Contains(log.String(), "velvet") {
		t.Errorf("%v; it logged %s", err, &log)
	}
}

// Without keys, with another's, and with a plain repository in the place of its own, a
// coordinator ends, and says what to do.
func TestRefusesARepositoryThatIsNotItsOwn(t *testing.T) {
	w := newWorld(t)
	plain, err := os.ReadFile(filepath.Join(w.dir, "repository", "repo.json"))
	if err != nil {
		t.Fatal(err)
	}
	w.encrypt(t)
	ends := func(what string, kind ivd.Kind, says string) {
		t.Helper()
		err := serve.Run(t.Context(), w.config(t, ""), quiet(serve.Options{}))
		if ivd.KindOf(err) != kind || !strings.Contains(err.Error(), says) || !strings.Contains(ivd.RemedyOf(err), "repository.passphrase_file") {
			t.Errorf("%s: %v; %s", what, err, ivd.RemedyOf(err))
		}
	}
	ends("without keys", ivd.Denied, "it is encrypted")
	w.write(t, "passphrase", "guess\n")
	w.keyed("passphrase_file: " + filepath.Join(w.dir, "passphrase"))
	ends("with another passphrase", ivd.Denied, "opens with this passphrase")
	w.write(t, "passphrase", passphrase+"\n")
	w.write(t, "repository/repo.json", string(plain))
	ends("a plain repository in its place", ivd.Corrupt, "the repository is plain")
}
