package backup_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/config"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// A point says what its disk and its snapshot were, as vSphere told it then.
func TestWhatAPointSays(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	b.Must(b.Owner.Track(t.Context(), d.Ref, true))
	b.Mover("m1")
	s := b.Coordinator("one")
	nightly := config.DefaultPolicy()
	nightly.Name = "nightly"
	s.Backup.Policies = []config.Policy{nightly}
	b.Serve(s)
	before := time.Now().Add(-time.Minute)
	first := b.Until(s, b.Begin(s, backup.Request{Policy: "nightly"}).ID, coordtest.Ended)
	p, sum, err := b.Repo.ReadPoint(t.Context(), b.Backup(first.Items[0]).Point)
	b.Must(err)
	product := b.VC.Product()
	if p.Source != (format.PointSource{Kind: format.VCenter, ID: b.VC.Source(), Label: "lab", Product: product.Name, Version: product.Version, Build: product.Build}) {
		t.Errorf("source %+v", p.Source)
	}
	if x := p.Disk; x.Kind != ivd.IVD || x.ID != d.Ref.ID() || x.Name != "a" || x.Datastore.ID != d.Ref.Datastore() || x.Datastore.Name != "datastore1" || x.Datastore.Type != "VMFS" || x.Datastore.URL == "" || x.Provisioning == "" || x.BackingUUID == "" || x.Path == "" || x.Created.IsZero() {
		t.Errorf("disk %+v", x)
	}
	if p.Snapshot.ID == "" || p.Snapshot.Created.Before(before) || !p.Time.Equal(p.Snapshot.Created) {
		t.Errorf("time %s, snapshot %+v", p.Time, p.Snapshot)
	}
	if x := p.Tracking; x.CBT != format.CBTOn || x.ChangeID == "" || x.Mode != format.ReadInUse || x.Since != "" || x.Why != "first backup" {
		t.Errorf("tracking %+v", x)
	}
	if p.Consistency != format.CrashConsistent || p.Policy != "nightly" || p.Run != first.ID || p.Incarnation != b.Repo.Incarnation() || p.Lease == "" || p.LeaseDeadline.IsZero() || p.CutAt != 8<<20 {
		t.Errorf("%+v", p)
	}
	if p.SealedAt.Before(before) || p.SealedAt.After(b.Repo.Now().Add(time.Second)) || p.Parent != nil {
		t.Errorf("sealed at %s, parent %+v", p.SealedAt, p.Parent)
	}

	s.Clock.Advance(time.Second) // points are named by the second
	second := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
	child, _, err := b.Repo.ReadPoint(t.Context(), b.Backup(second.Items[0]).Point)
	b.Must(err)
	if child.Parent == nil || *child.Parent != (format.PointParent{Point: p.ID, Sum: sum}) {
		t.Errorf("parent %+v, want %s %s", child.Parent, p.ID, sum)
	}
	if x := child.Tracking; x.Mode != format.ReadChanged || x.Since != p.Tracking.ChangeID || !x.ChangeID.After(x.Since) {
		t.Errorf("tracking %+v", x)
	}
	if child.Policy != "" {
		t.Errorf("policy %q", child.Policy)
	}
}

// With --full a disk is cut as the repository says by now: its parent is one in the
// chain only, and the next backup keeps the new cut.
func TestFullBackupCutsAnew(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	b.Must(b.Owner.Track(t.Context(), d.Ref, true))
	m := b.Mover("m1")
	s, _ := b.Serving("one")
	again := func(full bool) backup.Disk {
		t.Helper()
		s.Clock.Advance(time.Second) // points are named by the second
		v := b.Until(s, b.Begin(s, backup.Request{All: true, Full: full}).ID, coordtest.Ended)
		if v.State != engine.Done {
			t.Fatalf("%+v", v.Items[0].Failure)
		}
		return b.Backup(v.Items[0])
	}
	first := again(false)
	info := b.Repo.Info()
	info.Generation++
	info.ChunkSize = 1 << 20
	body, err := json.Marshal(info)
	b.Must(err)
	b.Must(os.WriteFile(filepath.Join(b.Folder, "repo.json"), body, 0o600))
	kept := again(false)
	if kept.Geometry != first.Geometry || kept.Mode != plan.Changed {
		t.Errorf("a child is cut %+v, its parent %+v; mode %s", kept.Geometry, first.Geometry, kept.Mode)
	}
	full := again(true)
	if full.Geometry.ChunkSize != 1<<20 || full.Parent != kept.Point || full.CutAt != 8<<20 {
		t.Errorf("%+v, parent %s", full.Geometry, full.Parent)
	}
	if j := coordtest.Last(m.Began()); j.Backup.Parent != nil {
		t.Errorf("its job builds on %+v", j.Backup.Parent)
	}
	if next := again(false); next.Geometry != full.Geometry || next.Parent != full.Point || next.Mode != plan.Changed {
		t.Errorf("%+v, parent %s, mode %s", next.Geometry, next.Parent, next.Mode)
	}
}
