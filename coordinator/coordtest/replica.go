package coordtest

import (
	"log/slog"
	"path/filepath"

	"ivdmover/coordinator/inventory"
	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/owner"
	"ivdmover/shared/ivd"
)

// Replica is another vCenter to which a storage array has copied the bench's disks.
type Replica struct {
	LabDir string
	Owner  *owner.Owner
	VC     *inventory.VCenter
}

// Replica copies the laboratory, while nobody writes, and starts the copy.
func (b *Bench) Replica(name string) *Replica {
	b.Helper()
	r := &Replica{LabDir: filepath.Join(b.TempDir(), name)}
	b.Must(lab.Replicate(b.Context(), b.LabDir, r.LabDir))
	startLab.Lock()
	l, err := lab.Start(b.Context(), lab.Options{Dir: r.LabDir})
	startLab.Unlock()
	b.Must(err)
	b.Cleanup(func() { _ = l.Close() })
	at := l.Ready()
	r.Owner, err = owner.Connect(b.Context(), at.URL, at.Username, at.Password, at.Thumbprint)
	b.Must(err)
	r.VC, err = inventory.Connect(b.Context(), inventory.Config{
		Name: name, URL: at.URL, Username: at.Username, Password: ivd.Secret(at.Password), Thumbprint: at.Thumbprint, Log: slog.New(slog.DiscardHandler),
	})
	b.Must(err)
	b.Cleanup(func() { _ = r.VC.Close() })
	return r
}
