package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/keyring"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store"
)

// place is an encrypted repository, and files with its keys.
type place struct {
	*testing.T
	repo       *repotest.Repository
	passphrase string // files
	export     string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{T: t, repo: repotest.Sealed(t)}
	p.passphrase = p.write("passphrase", repotest.Passphrase.Reveal()+"\n")
	p.export = p.exported(p.repo, "coordinator-2")
	return p
}

func (p *place) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *place) write(name, text string) string {
	p.Helper()
	file := filepath.Join(p.TempDir(), name)
	p.must(os.WriteFile(file, []byte(text), 0o600))
	return file
}

// exported is a file with an export of a repository's keys.
func (p *place) exported(r *repotest.Repository, name string) string {
	p.Helper()
	m, err := r.Master(p.Context(), repotest.Passphrase)
	p.must(err)
	e, err := m.Export(r.Domain(), name, time.Now())
	p.must(err)
	ring, err := m.Ring()
	p.must(err)
	p.must(r.Store.Put(p.Context(), "keys/ring", ring))
	b, err := e.Encode()
	p.must(err)
	return p.write("export", string(b))
}

// removed removes a signer.
func (p *place) removed(name string) {
	p.Helper()
	m, err := p.repo.Master(p.Context(), repotest.Passphrase)
	p.must(err)
	for _, s := range m.PublicRing().Signers {
		if s.Name == name {
			p.must(m.RemoveSigner(s.ID, time.Now()))
		}
	}
	ring, err := m.Ring()
	p.must(err)
	p.must(p.repo.Store.Put(p.Context(), "keys/ring", ring))
}

// open opens the repository, and returns what was logged.
func (p *place) open(c config.Repository, o keyring.Options) (*repo.Repository, error) {
	p.Helper()
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r, err := keyring.Open(p.Context(), p.repo.Store, c, o)
	for _, said := range []string{log.String(), fmt.Sprint(err), ivd.RemedyOf(err)} {
		if strings.Contains(said, repotest.Passphrase.Reveal()) || strings.Contains(said, "battery") {
			p.Errorf("a secret is in %q", said)
		}
	}
	return r, err
}

func (p *place) refused(what string, c config.Repository, kind ivd.Kind, says string) {
	p.Helper()
	if _, err := p.open(c, keyring.Options{}); ivd.KindOf(err) != kind || !strings.Contains(err.Error(), says) || ivd.RemedyOf(err) == "" {
		p.Errorf("%s: %v; %s", what, err, ivd.RemedyOf(err))
	}
}

// What a configuration names opens the repository, and does what it is for.
func TestOpenWithWhatTheConfigurationNames(t *testing.T) {
	p := newPlace(t)
	root := config.KeyID(p.repo.Root().String())
	for what, x := range map[string]struct {
		c             config.Repository
		reads, judges bool
	}{
		"a passphrase": {config.Repository{PassphraseFile: p.passphrase, Root: root}, true, true},
		"an export":    {config.Repository{BackupKeyFile: p.export, Root: root}, false, false},
		"both":         {config.Repository{PassphraseFile: p.passphrase, BackupKeyFile: p.export}, true, true},
	} {
		r, err := p.open(x.c, keyring.Options{})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if err := r.OpensChunks(); (err == nil) != x.reads || !x.reads && (ivd.KindOf(err) != ivd.Denied || !strings.Contains(ivd.RemedyOf(err), "repository.passphrase_file")) {
			t.Errorf("%s: restores: %v", what, err)
		}
		if err := r.Unretire(t.Context(), "a test", []ivd.PackID{{1}}); (err == nil) != x.judges || !x.judges && ivd.KindOf(err) != ivd.Denied {
			t.Errorf("%s: lifting a pack: %v", what, err)
		}
	}
}

// Beside a passphrase, an export says whose the repository is, and who signs.
func TestExportBesideAPassphrase(t *testing.T) {
	p := newPlace(t)
	other := repotest.Sealed(t)
	p.refused("another repository's export", config.Repository{PassphraseFile: p.passphrase, BackupKeyFile: p.exported(other, "x")}, ivd.Denied, "the keys are of domain")
	b, err := os.ReadFile(p.export)
	p.must(err)
	export, err := keys.DecodeExport(b)
	p.must(err)
	for beside, own := range map[string]bool{"": false, p.export: true} {
		r, err := p.open(config.Repository{PassphraseFile: p.passphrase, BackupKeyFile: beside}, keyring.Options{})
		p.must(err)
		l, err := r.OpenLease(t.Context(), repo.LeaseSpec{})
		p.must(err)
		o, err := p.repo.Store.Get(t.Context(), store.Name("leases/"+l.ID), 1<<20)
		p.must(err)
		if signed := bytes.Contains(o.Body, export.Signer.ID[:]); signed != own {
			t.Errorf("with export %q: signed by it: %t", beside, signed)
		}
	}
}

// What does not open the repository is refused, with the remedy.
func TestRefusals(t *testing.T) {
	p := newPlace(t)
	p.refused("no keys", config.Repository{}, ivd.Denied, "it is encrypted")
	p.refused("another passphrase", config.Repository{PassphraseFile: p.write("wrong", "guess\n")}, ivd.Denied, "opens with this passphrase")
	p.refused("no file", config.Repository{PassphraseFile: "/nowhere"}, ivd.Invalid, "/nowhere")
	p.refused("several lines", config.Repository{PassphraseFile: p.write("lines", "correct\nhorse\n")}, ivd.Invalid, "more than one line")
	p.refused("no export", config.Repository{BackupKeyFile: "/nowhere"}, ivd.Invalid, "/nowhere")
	p.refused("a passphrase as an export", config.Repository{BackupKeyFile: p.passphrase}, ivd.Invalid, "it is no export of a repository's keys")
	p.refused("an export of a later release", config.Repository{BackupKeyFile: p.write("later", `{"ivd_backup_key": 2}`)}, ivd.Invalid, "version 2")
	m, err := p.repo.Master(t.Context(), repotest.Passphrase)
	p.must(err)
	text, err := m.File(p.repo.Domain(), "a file", time.Now()).Encode()
	p.must(err)
	file := p.write("file", string(text))
	p.refused("a key file as an export", config.Repository{BackupKeyFile: file}, ivd.Invalid, "it is no export of a repository's keys")
	p.refused("a key file of which nothing opens", config.Repository{PassphraseFile: file}, ivd.Denied, "no slot below keys/ opens with this key")
	other := repotest.Sealed(t)
	if m, err = other.Master(t.Context(), repotest.Passphrase); err == nil {
		text, err = m.File(other.Domain(), "a file", time.Now()).Encode()
	}
	p.must(err)
	p.refused("a key file of another repository", config.Repository{PassphraseFile: p.write("other", string(text))}, ivd.Denied, "the key is of repository "+other.ID()+", and here is repository "+p.repo.ID())
	p.refused("an export that was made of another repository", config.Repository{BackupKeyFile: p.exported(other, "x")}, ivd.Denied, "the keys are of domain")
	p.removed("coordinator-2")
	p.refused("an export whose signer was removed", config.Repository{BackupKeyFile: p.export}, ivd.Denied, "(coordinator-2) was removed from keys/ring")
	p.refused("another root", config.Repository{PassphraseFile: p.passphrase, Root: "00112233445566778899aabbccddeeff"}, ivd.Corrupt, "repository.root is 0011")
	if _, err := p.open(config.Repository{BackupKeyFile: p.export}, keyring.Options{Adopting: true}); ivd.KindOf(err) != ivd.Denied || !strings.Contains(ivd.RemedyOf(err), "repository.passphrase_file") {
		t.Errorf("adopting with an export: %v", err)
	}
}

// A repo.json that is put in the place of the repository's is not taken for it, whatever
// the configuration names: what would be stored there would lie in the clear, or with
// keys that another has.
func TestSwappedRepository(t *testing.T) {
	p := newPlace(t)
	root := config.KeyID(p.repo.Root().String())
	plain, other := repotest.New(t), repotest.Sealed(t)
	for what, from := range map[string]*repotest.Repository{"a plain repository": plain, "another encrypted one": other} {
		b, err := os.ReadFile(filepath.Join(from.Dir, "repo.json"))
		p.must(err)
		p.must(os.WriteFile(filepath.Join(p.repo.Dir, "repo.json"), b, 0o600))
		for named, c := range map[string]config.Repository{
			"a passphrase": {PassphraseFile: p.passphrase}, "an export": {BackupKeyFile: p.export}, "a root": {Root: root},
			"both": {PassphraseFile: p.passphrase, BackupKeyFile: p.export},
		} {
			if _, err := p.open(c, keyring.Options{}); ivd.KindOf(err) != ivd.Corrupt && ivd.KindOf(err) != ivd.Denied {
				t.Errorf("%s opens with %s: %v", what, named, err)
			}
		}
	}
}

// A person is asked only where the configuration names nothing that would do.
func TestPersonIsAsked(t *testing.T) {
	p := newPlace(t)
	asked := 0
	ask := func(context.Context) (ivd.Secret, error) { asked++; return repotest.Passphrase, nil }
	for what, x := range map[string]struct {
		c        config.Repository
		adopting bool
		asked    int
	}{
		"nothing is named":   {asked: 1},
		"a passphrase":       {c: config.Repository{PassphraseFile: p.passphrase}, adopting: true},
		"an export":          {c: config.Repository{BackupKeyFile: p.export}},
		"an export to adopt": {c: config.Repository{BackupKeyFile: p.export}, adopting: true, asked: 1},
	} {
		asked = 0
		r, err := p.open(x.c, keyring.Options{Ask: ask, Adopting: x.adopting})
		if err != nil || asked != x.asked {
			t.Errorf("%s: asked %d times, %v", what, asked, err)
			continue
		}
		if x.adopting {
			if _, err := r.Adopt(t.Context()); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	wrong := func(context.Context) (ivd.Secret, error) { return "guess", nil }
	if _, err := p.open(config.Repository{}, keyring.Options{Ask: wrong}); ivd.KindOf(err) != ivd.Denied || !strings.Contains(ivd.RemedyOf(err), "run the command again") {
		t.Errorf("another passphrase: %v; %s", err, ivd.RemedyOf(err))
	}
	gone := func(context.Context) (ivd.Secret, error) { return "", context.Canceled }
	if _, err := p.open(config.Repository{}, keyring.Options{Ask: gone}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := keyring.Open(t.Context(), repotest.New(t).Store, config.Repository{}, keyring.Options{Ask: ask, Log: slog.Default()}); err != nil {
		t.Errorf("a plain repository: %v", err)
	}
}
