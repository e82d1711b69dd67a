package login_test

import (
	"fmt"
	"slices"
	"testing"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/restore"
	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// moving is a backup whose one disk is being moved.
func moving(b *coordtest.Bench) (*coordtest.Coordinator, ivd.DiskRef, engine.Run) {
	b.Helper()
	ref := b.InLab(b.Disk("a", 8).Ref)
	r := b.Run(backup.Kind, engine.Running)
	b.Store(r, engine.Item{Key: engine.ItemKey(ref.ID()), Step: engine.Moving, Body: coordtest.Body(backup.Disk{Ref: ref})})
	return b.Coordinator("one"), ref, r
}

// A login is for a disk of a run that is under way, and for what its ledger has.
func TestLogin(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	s, ref, r := moving(b)
	made := b.Run(restore.Kind, engine.Running)
	const item = "11111111-1111-4111-8111-111111111111"
	target, err := b.VC.CreateDisk(t.Context(), ref.Datastore(), fmt.Sprintf("ivdmover-restore-%s-%.8s", made.ID, item), 1,
		inventory.NewMark("run", string(made.ID)), inventory.NewMark("item", item))
	b.Must(err)
	b.Store(made, engine.Item{Key: item, Step: engine.Moving, Body: coordtest.Body(restore.Disk{Ref: target})})
	left := b.Abandoned(s, ref, false)
	over := b.Run(backup.Kind, engine.Done)
	b.Store(over, engine.Item{Key: engine.ItemKey(ref.ID()), Step: engine.Ended, Body: coordtest.Body(backup.Disk{Ref: ref})})
	other := ivd.NewDiskRef(ref.Source(), ref.Datastore(), "22222222-2222-4222-8222-222222222222")
	for _, c := range []struct {
		what string
		run  ivd.RunID
		disk ivd.DiskRef
		want ivd.Kind
	}{
		{"a disk of the run", r.ID, ref, ""},
		{"a disk that the run makes", made.ID, target, ""},
		{"a disk that the run does not make", made.ID, ref, ivd.Denied},
		{"a disk of the ledger", left, ref, ""},
		{"another disk", r.ID, other, ivd.Denied},
		{"another disk of a restore", made.ID, other, ivd.Denied},
		{"another disk of a run that is over", left, other, ivd.Denied},
		{"a disk of a run that is over", over.ID, ref, ivd.Denied},
		{"no run", "none", ref, ivd.NotFound},
	} {
		l, err := s.Logins.Answer(t.Context(), job.LoginRequest{Run: c.run, Disk: c.disk})
		if ivd.KindOf(err) != c.want || (err == nil) != (l.Cookie != "" || l.Password != "") {
			t.Errorf("%s: %v, want kind %q", c.what, err, c.want)
		}
	}
}

// What bears on the transports is asked for the mover that asks, when it asks: it may
// have come after the run was planned.
func TestLoginSaysWhatALateMoverMayUse(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	s, ref, r := moving(b)
	vm := estate.BIOSUUID("lab-vm-1")
	for name, uuid := range map[string]string{"late": vm, "other": estate.BIOSUUID("lab-vm-2"), "iron": ""} {
		b.Must(b.Queue.Beat(t.Context(), job.Mover{Version: job.Version, Name: name, BIOSUUID: uuid}))
		l, err := s.Logins.Answer(t.Context(), job.LoginRequest{Mover: name, Run: r.ID, Disk: ref})
		b.Must(err)
		var want []string
		if uuid != "" {
			want = []string{uuid}
		}
		if a := l.Allows; a == nil || !a.Placement || a.DatastoreType != "VMFS" || !slices.Equal(a.ProxyVMs, want) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	gone := ref.On("datastore-gone")
	if l, err := s.Logins.Answer(t.Context(), job.LoginRequest{Mover: "late", Run: r.ID, Disk: gone}); err != nil || l.Allows != nil || l.Cookie == "" {
		t.Errorf("where vCenter cannot tell: %v, %+v", err, l.Allows)
	}
}
