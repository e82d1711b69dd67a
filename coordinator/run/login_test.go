package run

import (
	"slices"
	"testing"

	"ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/owner"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// moving is a backup whose one disk is being moved.
func (b *bench) moving() (*Service, owner.Disk, Run) {
	b.Helper()
	d := b.disk("a", 8)
	d.Ref = ivd.NewDiskRef(b.vc.Source(), d.Ref.Datastore(), d.Ref.ID())
	s, _ := b.watching("one")
	r := s.newRun(job.Backup)
	_, err := s.store(b.Context(), r, []Disk{{Version: Version, Run: r.ID, Ref: d.Ref, Step: Moving}})
	b.must(err)
	return s, d, r
}

// A login is for a disk of a run that is under way, and for what its ledger has.
func TestLogin(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, d, r := b.moving()
	made := s.newRun(job.Restore)
	_, err := s.store(t.Context(), made, []Disk{{Version: Version, Run: made.ID, Ref: d.Ref, Step: Moving, From: "11111111-1111-4111-8111-111111111111/x"}})
	b.must(err)
	over := b.entry(s, d.Ref, nil)
	other := d.Ref
	other = ivd.NewDiskRef(other.Source(), other.Datastore(), "22222222-2222-4222-8222-222222222222")
	for _, c := range []struct {
		what string
		run  ivd.RunID
		disk ivd.DiskRef
		want ivd.Kind
	}{
		{"a disk of the run", r.ID, d.Ref, ""},
		{"a disk that the run makes", made.ID, d.Ref, ""},
		{"a disk of the ledger", over.Run, d.Ref, ""},
		{"another disk", r.ID, other, ivd.Denied},
		{"another disk of a restore", made.ID, other, ivd.Denied},
		{"another disk of a run that is over", over.Run, other, ivd.Denied},
		{"no run", "none", d.Ref, ivd.NotFound},
	} {
		l, err := s.login(t.Context(), job.LoginRequest{Run: c.run, Disk: c.disk})
		if ivd.KindOf(err) != c.want || (err == nil) != (l.Cookie != "" || l.Password != "") {
			t.Errorf("%s: %v, want kind %q", c.what, err, c.want)
		}
	}
}

// What bears on the transports is asked for the mover that asks, when it asks: it may
// have come after the run was planned.
func TestLoginSaysWhatALateMoverMayUse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, d, r := b.moving()
	vm := estate.BIOSUUID("lab-vm-1")
	for name, uuid := range map[string]string{"late": vm, "other": estate.BIOSUUID("lab-vm-2"), "iron": ""} {
		b.must(b.queue.Beat(t.Context(), job.Mover{Version: job.Version, Name: name, BIOSUUID: uuid}))
		l, err := s.login(t.Context(), job.LoginRequest{Mover: name, Run: r.ID, Disk: d.Ref})
		b.must(err)
		var want []string
		if uuid != "" {
			want = []string{uuid}
		}
		if a := l.Allows; a == nil || !a.Placement || a.DatastoreType != "VMFS" || !slices.Equal(a.ProxyVMs, want) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	gone := d.Ref
	gone = gone.On("datastore-gone")
	if l, err := s.login(t.Context(), job.LoginRequest{Mover: "late", Run: r.ID, Disk: gone}); err != nil || l.Allows != nil || l.Cookie == "" {
		t.Errorf("where vCenter cannot tell: %v, %+v", err, l.Allows)
	}
}
