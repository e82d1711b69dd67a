package restore_test

import (
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/restore"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
)

// A coordinator that has only an export of the keys says at once that it cannot restore.
func TestRestoreNeedsThePassphrase(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	r := repotest.Sealed(t)
	m, err := r.Master(t.Context(), repotest.Passphrase)
	b.Must(err)
	e, err := m.Export(r.Domain(), "coordinator-2", time.Now())
	b.Must(err)
	ring, err := m.Ring()
	b.Must(err)
	b.Must(r.Store.Put(t.Context(), "keys/ring", ring))
	b.Repo, err = repo.OpenWith(t.Context(), r.Store, repo.Keys{Export: &e})
	b.Must(err)
	c, stop := b.Serving("one")
	defer stop()
	disk := ivd.DiskID("11111111-1111-4111-8111-111111111111")
	point := ivd.NewPointID(r.Domain(), b.VC.Source(), disk, time.Now(), "20261124t231500z-1f0c2a9b")
	_, err = c.Restore.Run(t.Context(), restore.Request{Point: point})
	if ivd.KindOf(err) != ivd.Denied || !strings.Contains(err.Error(), "for backups only") || !strings.Contains(ivd.RemedyOf(err), "repository.passphrase_file") {
		t.Errorf("%v; %s", err, ivd.RemedyOf(err))
	}
}
