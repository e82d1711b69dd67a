package login_test

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"sync/atomic"
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
	b.Store(r, engine.Item{
		Key: engine.ItemKey(ref.ID()), Step: engine.Moving, Disk: ref.ID(), Jobs: []ivd.JobID{"j1"}, Body: coordtest.Body(backup.Disk{Ref: ref}),
	})
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
		w, err := s.Fleet.Warrant(t.Context(), "m", c.run, c.disk)
		b.Must(err)
		l, err := s.Logins.Answer(t.Context(), job.LoginRequest{Mover: "m", Run: c.run, Disk: c.disk, Warrant: w}, job.Mover{Name: "m", Process: "p"})
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
		w, err := s.Fleet.Warrant(t.Context(), name, r.ID, ref)
		b.Must(err)
		l, err := s.Logins.Answer(t.Context(), job.LoginRequest{Mover: name, Run: r.ID, Disk: ref, Warrant: w}, job.Mover{Name: name, Process: "p", BIOSUUID: uuid})
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
	w, err := s.Fleet.Warrant(t.Context(), "late", r.ID, gone)
	b.Must(err)
	if l, err := s.Logins.Answer(t.Context(), job.LoginRequest{Mover: "late", Run: r.ID, Disk: gone, Warrant: w}, job.Mover{Name: "late", Process: "p"}); err != nil || l.Allows != nil || l.Cookie == "" {
		t.Errorf("where vCenter cannot tell: %v, %+v", err, l.Allows)
	}
}

// A job's login is for the process that has claimed it, by the keys that the process
// has been known by from its first question on.
func TestLoginOfAJob(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	c, ref, r := moving(b)
	_, private, err := ed25519.GenerateKey(nil)
	b.Must(err)
	m := job.Mover{Version: job.Version, Name: "m", Process: "p", PublicKey: []byte("login"), VerifyKey: private.Public().(ed25519.PublicKey)}
	claimed := job.Record{Version: job.Version, ID: "j1", Run: r.ID, Disk: ref.ID(), State: job.Running, Mover: "m", Process: "p"}
	b.Must(b.Queue.CreateJobRecord(t.Context(), claimed))
	for _, c1 := range []struct {
		what   string
		record func(*job.Record)
		mover  func(*job.Mover)
		want   ivd.Kind
	}{
		{"claimed", func(*job.Record) {}, nil, ""},
		{"another process's", func(r *job.Record) { r.Process = "q" }, nil, ivd.Transient},
		{"another mover's", func(r *job.Record) { r.Mover = "n" }, nil, ivd.Transient},
		{"not claimed", func(r *job.Record) { r.State = job.Queued }, nil, ivd.Transient},
		{"done", func(r *job.Record) { r.State = job.Done }, nil, ivd.Transient},
		{"from a checkpoint that nobody signed", func(r *job.Record) { r.Batches, r.Next = 1, 1 }, nil, ivd.Transient},
		{"from one that is signed", func(r *job.Record) { r.Batches, r.Next = 1, 1; b.Must(r.Sign("m", "p", private)) }, nil, ""},
		{"from one that was changed since", func(r *job.Record) { r.Batches, r.Next = 1, 1; b.Must(r.Sign("m", "p", private)); r.Next = 2 }, nil, ivd.Transient},
		{"to another key", func(*job.Record) {}, func(m *job.Mover) { m.PublicKey = []byte("mine") }, ivd.Denied},
		{"of who would sign with another key", func(*job.Record) {}, func(m *job.Mover) { m.VerifyKey = make([]byte, ed25519.PublicKeySize) }, ivd.Denied},
		{"claimed still", func(*job.Record) {}, nil, ""},
	} {
		_, rev, err := b.Queue.JobRecord(t.Context(), r.ID, ref.ID(), "j1")
		b.Must(err)
		rec, asks := claimed, m
		c1.record(&rec)
		if c1.mover != nil {
			c1.mover(&asks)
		}
		_, err = b.Queue.UpdateJobRecord(t.Context(), rec, rev)
		b.Must(err)
		for _, c := range []*coordtest.Coordinator{c, b.Coordinator("two")} { // what one knows, the other does
			l, err := c.Logins.Answer(t.Context(), job.LoginRequest{Mover: "m", Process: "p", Run: r.ID, Disk: ref, Job: "j1"}, asks)
			if ivd.KindOf(err) != c1.want || (err == nil) != (l.Cookie != "") {
				t.Errorf("%s: %v, want kind %q", c1.what, err, c1.want)
			}
		}
	}
	_, err = c.Logins.Answer(t.Context(), job.LoginRequest{Mover: "m", Process: "p", Run: r.ID, Disk: ref, Job: "j2"}, m)
	if ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("no such job: %v", err)
	}
}

// Without a job a login is for who was asked to do something with that disk, or has had
// a job of it, whichever coordinator answers, and for nobody else.
func TestLoginWithoutAJob(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	c, ref, r := moving(b)
	var asked atomic.Pointer[job.Request]
	b.Mover("m", func(p *coordtest.Puppet) {
		p.Answer = func(q job.Request) error { asked.Store(&q); return nil }
	})
	_, err := c.Fleet.Ask(t.Context(), job.Request{Op: job.Inspect, Run: r.ID, Disk: job.IVD(ref)})
	b.Must(err)
	got := asked.Load()
	rec := job.Record{Version: job.Version, ID: "j1", Run: r.ID, Disk: ref.ID(), State: job.Running, Mover: "m", Process: "p"}
	b.Must(b.Queue.CreateJobRecord(t.Context(), rec))
	had, err := c.Logins.Answer(t.Context(), job.LoginRequest{Mover: "m", Process: "p", Run: r.ID, Disk: ref, Job: "j1"}, job.Mover{Name: "m", Process: "p"})
	b.Must(err)
	other := b.InLab(b.Disk("b", 8).Ref)
	r2 := b.Run(backup.Kind, engine.Running)
	b.Store(r2, engine.Item{Key: engine.ItemKey(ref.ID()), Step: engine.Moving, Disk: ref.ID(), Body: coordtest.Body(backup.Disk{Ref: ref})},
		engine.Item{Key: engine.ItemKey(other.ID()), Step: engine.Moving, Disk: other.ID(), Body: coordtest.Body(backup.Disk{Ref: other})})
	for what, q := range map[string]struct {
		ask  job.LoginRequest
		want ivd.Kind
	}{
		"as it was asked to":        {job.LoginRequest{Mover: "m", Run: r.ID, Disk: ref, Warrant: got.Warrant}, ""},
		"as it had a job":           {job.LoginRequest{Mover: "m", Run: r.ID, Disk: ref, Warrant: had.Warrant}, ""},
		"with none":                 {job.LoginRequest{Mover: "m", Run: r.ID, Disk: ref}, ivd.Denied},
		"with another mover's":      {job.LoginRequest{Mover: "thief", Run: r.ID, Disk: ref, Warrant: got.Warrant}, ivd.Denied},
		"with another run's":        {job.LoginRequest{Mover: "m", Run: r2.ID, Disk: ref, Warrant: got.Warrant}, ivd.Denied},
		"with another disk's":       {job.LoginRequest{Mover: "m", Run: r2.ID, Disk: other, Warrant: got.Warrant}, ivd.Denied},
		"with one that is changed":  {job.LoginRequest{Mover: "m", Run: r.ID, Disk: ref, Warrant: got.Warrant + "A"}, ivd.Denied},
		"with nobody's":             {job.LoginRequest{Mover: "m", Run: r.ID, Disk: ref, Warrant: "6f1c8ae0-6ff4-4e40-9c6f-6a3f7a3c9f10.AAAA"}, ivd.Denied},
		"with what is no warrant":   {job.LoginRequest{Mover: "m", Run: r.ID, Disk: ref, Warrant: "run.1"}, ivd.Denied},
		"with one from a wild card": {job.LoginRequest{Mover: "m", Run: r.ID, Disk: ref, Warrant: ">.AAAA"}, ivd.Denied},
	} {
		for _, c := range []*coordtest.Coordinator{c, b.Coordinator("two")} {
			l, err := c.Logins.Answer(t.Context(), q.ask, job.Mover{Name: q.ask.Mover, Process: "p"})
			if ivd.KindOf(err) != q.want || (err == nil) != (l.Cookie != "") {
				t.Errorf("%s: %v, want kind %q", what, err, q.want)
			}
		}
	}
}
