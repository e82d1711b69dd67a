package serve_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/serve"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
)

// A coordinator with an export backs up until its right to sign is removed: then its next
// run is refused, with why and what to do, while it runs and when it is started again.
func TestServesWithAnExportUntilItIsRemoved(t *testing.T) {
	w := newWorld(t)
	w.encrypt(t)
	st, err := open.Open(t.Context(), w.config(t, "").Repository)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := repo.OpenKeychain(t.Context(), st, repo.Keys{Passphrase: passphrase})
	if err != nil {
		t.Fatal(err)
	}
	e, err := keys.Export(t.Context(), "coordinator-2")
	if err != nil {
		t.Fatal(err)
	}
	file, err := e.Encode()
	if err == nil {
		err = os.WriteFile(filepath.Join(w.dir, "export"), file, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.keyed("backup_key_file: " + filepath.Join(w.dir, "export"))
	client, stop := w.start(t, serve.Options{})
	aRun(t, client)
	if err := keys.RemoveSigner(t.Context(), e.Signer.ID); err != nil {
		t.Fatal(err)
	}
	refused := func(when string, err error) {
		t.Helper()
		if ivd.KindOf(err) != ivd.Denied || !strings.Contains(err.Error(), "coordinator-2) was removed from keys/ring") || !strings.Contains(ivd.RemedyOf(err), "ivd repo key export") {
			t.Errorf("%s: %v; remedy %q", when, err, ivd.RemedyOf(err))
		}
	}
	_, err = client.Backup(t.Context(), api.BackupRequest{All: true})
	refused("its next run", err)
	_, err = keys.Repository().OpenLease(t.Context(), repo.LeaseSpec{})
	if err != nil {
		t.Errorf("who opens a slot goes on: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	refused("its next start", serve.Run(t.Context(), w.config(t, ""), quiet(serve.Options{})))
}
