package backup_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/deploy/lab/script"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// What ended runs have left is undone by whoever looks next; snapshots of others
// stay.
func TestLedgerIsReplayed(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	ref := b.InLab(d.Ref)
	s := b.Coordinator("one")
	m := b.Mover("m1")
	run := b.Abandoned(s, ref, false)
	for _, mark := range []string{backup.Mark(b.Repo, run), backup.Mark(b.Repo, "another"), "by hand", backup.Mark(b.Repo, run) + "0", "of " + backup.Mark(b.Repo, run), backup.Mark(b.Repo, run)} {
		_, err := b.VC.CreateSnapshot(t.Context(), ref, mark)
		b.Must(err)
	}
	b.Settle(s)
	if n := b.Snapshots(d); n != 4 {
		t.Errorf("%d snapshots are left, want those of others", n)
	}
	if m.Times(job.EndAccess) != 1 || len(b.Ledger()) != 0 {
		t.Errorf("access was ended %d times, the ledger has %v", m.Times(job.EndAccess), b.Ledger())
	}
}

// The access that is ended is the obligation's own, by its identity, and no other.
func TestEndAccessIsOfItsIdentity(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	s := b.Coordinator("one")
	m := b.Mover("m1")
	asked := make(chan job.Request, 9)
	m.Set(func(p *coordtest.Puppet) {
		p.Answer = func(r job.Request) error { asked <- r; return nil }
	})
	run := b.Abandoned(s, b.InLab(b.Disk("a", 8).Ref), false)
	b.Settle(s)
	if len(asked) != 1 {
		t.Fatalf("%d questions were asked", len(asked))
	}
	if r := <-asked; r.Op != job.EndAccess || r.Run != run || r.Identity != "who" {
		t.Errorf("%+v", r)
	}
}

// A snapshot whose task was still under way when its run was cleaned up is deleted
// when it comes.
func TestSnapshotThatComesLate(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	ref := b.InLab(d.Ref)
	s := b.Coordinator("one")
	m := b.Mover("m1")
	run := b.Abandoned(s, ref, true)
	settle := func() {
		t.Helper()
		s.Clock.Advance(2 * time.Minute)
		b.Settle(s)
	}
	settle()
	if len(b.Ledger()) != 2 || m.Times(job.EndAccess) != 1 {
		t.Fatalf("the ledger has %v, access was ended %d times", b.Ledger(), m.Times(job.EndAccess))
	}
	_, err := b.VC.CreateSnapshot(t.Context(), ref, backup.Mark(b.Repo, run))
	b.Must(err)
	settle()
	b.NothingLeft(d)
	if m.Times(job.EndAccess) != 2 {
		t.Errorf("access was ended %d times: a late snapshot's too", m.Times(job.EndAccess))
	}
	settle()
	s.Clock.Advance(20 * time.Minute)
	settle()
	if m.Times(job.EndAccess) != 2 || len(b.Ledger()) != 0 {
		t.Errorf("access was ended %d times, the ledger has %v", m.Times(job.EndAccess), b.Ledger())
	}
}

// The answer to a creation is lost: the snapshot is found by its mark and used, and
// there is one.
func TestSnapshotWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	b.Mover("m1")
	s, _ := b.Serving("one")
	var lost atomic.Bool
	b.Wire.After("VStorageObjectCreateSnapshot_Task", func() error {
		if lost.Swap(true) {
			return nil
		}
		return errors.New("the answer is lost")
	})
	v := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
	if v.State != engine.Done || !lost.Load() {
		t.Errorf("%s: %+v", v.State, v.Items[0].Failure)
	}
	b.NothingLeft(d)
}

// The sweep deletes what carries this repository's mark and belongs to a run without a
// lease that is not known to be under way, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	ref := b.InLab(d.Ref)
	s := b.Coordinator("one")
	over, living, doubtful := b.Run(backup.Kind, engine.Done), b.Run(backup.Kind, engine.Running), b.Run(backup.Kind, engine.Done)
	for _, r := range []engine.Run{over, living, doubtful} {
		b.Store(r, engine.Item{Key: engine.ItemKey(ref.ID()), Step: engine.Moving, Body: coordtest.Body(backup.Disk{Ref: ref})})
	}
	lease := func(run ivd.RunID) repo.Lease {
		t.Helper()
		l, err := b.Repo.OpenLease(t.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Owner: "another", Run: run})
		b.Must(err)
		return l
	}
	late := lease("another-coordinators")
	lease(doubtful.ID) // a commit's answer was lost: it is left to expire
	b.Must(b.Repo.PutRun(t.Context(), format.Run{ID: "forgotten", Sequence: 1, Kind: "backup", State: "done"}))
	another := strings.Replace(backup.Mark(b.Repo, over.ID), b.Repo.ID(), "00000000-0000-4000-8000-000000000000", 1)
	copied := backup.Mark(b.Repo, over.ID)
	copied = copied[:len(copied)-8] + "00000000" // which has the same id, and is another one since it was adopted
	doubt := backup.Mark(b.Repo, doubtful.ID)
	leased := backup.Mark(b.Repo, "another-coordinators")
	keep := []string{"by hand", "ivdmover run a person's own of " + b.Repo.ID(), "ivdmover run " + string(over.ID), another, copied, leased, backup.Mark(b.Repo, living.ID), doubt}
	for _, mark := range append([]string{backup.Mark(b.Repo, over.ID), backup.Mark(b.Repo, "forgotten"), backup.Mark(b.Repo, "lost-with-the-queue")}, keep...) {
		_, err := b.VC.CreateSnapshot(t.Context(), ref, mark)
		b.Must(err)
	}
	sweep := func() (left []string) {
		t.Helper()
		b.Must(s.Backup.Sweep(t.Context(), s.Engine))
		snaps, err := b.VC.Snapshots(t.Context(), ref)
		b.Must(err)
		for _, snap := range snaps {
			left = append(left, snap.Description)
		}
		return left
	}
	if left := sweep(); !slices.Equal(left, keep) {
		t.Errorf("left are %q, want %q", left, keep)
	}
	b.Pass(late.Deadline.Sub(b.Repo.Now()) + repo.Margin - time.Minute)
	s.Clock.Advance(25 * time.Hour)
	if left := sweep(); !slices.Equal(left, keep) {
		t.Errorf("before the margin is over left are %q, want %q", left, keep)
	}
	b.Pass(2 * time.Minute)
	s.Clock.Advance(25 * time.Hour)
	if left, want := sweep(), slices.DeleteFunc(slices.Clone(keep), func(m string) bool { return m == leased || m == doubt }); !slices.Equal(left, want) {
		t.Errorf("in the end left are %q, want %q", left, want)
	}
}

// While a snapshot cannot be deleted no other one is made of its disk: the run that has
// left it is partial, the next one fails at that disk alone, and all is well when it can.
func TestSnapshotThatCannotBeDeleted(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	b.Disk("b", 8)
	b.Mover("m1")
	s, _ := b.Serving("one")
	night := func() engine.View {
		t.Helper()
		s.Clock.Advance(time.Second)
		return b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
	}
	b.Must(script.WriteAnswers(b.LabDir, script.Answer{Call: "DeleteSnapshot_Task", Disk: string(d.Ref.ID()), Fault: "NoPermission"}))
	v := night()
	if it := b.Item(v, "a"); v.State != engine.Partial || it.Result != engine.Done || it.Pending == "" || v.Counts.Left != 1 || b.Item(v, "b").Pending != "" {
		t.Errorf("%s, %+v", v.State, v.Items)
	}
	for range 2 {
		v = night()
		it := b.Item(v, "a")
		if v.State != engine.Partial || it.Result != engine.Failed || b.Item(v, "b").Result != engine.Done || b.Snapshots(d) != 1 {
			t.Errorf("%s, %d snapshots, %+v", v.State, b.Snapshots(d), v.Items)
		}
		if f := it.Failure; f == nil || f.Kind != ivd.Denied || !strings.Contains(f.Message, "has left") || !strings.Contains(f.Remedy, "ivd snapshots delete") {
			t.Errorf("%+v", f)
		}
	}
	b.Must(script.WriteAnswers(b.LabDir))
	if v = night(); v.State != engine.Done {
		t.Errorf("%s, %+v", v.State, v.Items)
	}
	b.NothingLeft(d)
}

// What others have made, and what another coordinator works with, is in nobody's way.
func TestSnapshotsOfOthersAreInNobodysWay(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	b.Mover("m1")
	s, _ := b.Serving("one")
	_, err := b.Repo.OpenLease(t.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Owner: "another", Run: "another-coordinators"})
	b.Must(err)
	for _, mark := range []string{"by hand", "ivdmover run 20261124t231500z-1f0c2a9b", backup.Mark(b.Repo, "another-coordinators")} {
		_, err := b.VC.CreateSnapshot(t.Context(), b.InLab(d.Ref), mark)
		b.Must(err)
	}
	_, err = b.VC.CreateSnapshot(t.Context(), b.InLab(d.Ref), backup.Mark(b.Repo, "lost-with-the-queue"))
	b.Must(err)
	v := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
	if v.State != engine.Done || b.Snapshots(d) != 3 {
		t.Errorf("%s, %d snapshots", v.State, b.Snapshots(d))
	}
}

// What the ledger still has to undo of a disk gets its login, although the queue has lost
// the records of the item or of the whole run: nobody else ends that access. Nothing else
// of such a run does.
func TestLoginForWhatARunWithoutRecordsHasLeft(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]func(run ivd.RunID, item string) []string{
		"its item": func(run ivd.RunID, item string) []string { return []string{"item." + string(run) + "." + item} },
		"all of it": func(run ivd.RunID, item string) []string {
			return []string{"item." + string(run) + "." + item, "run." + string(run)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			c := b.Coordinator("one")
			ref, other := b.InLab(b.Disk("a", 8).Ref), b.InLab(b.Disk("b", 8).Ref)
			m := b.Mover("m1")
			m.Set(func(p *coordtest.Puppet) {
				p.Answer = func(q job.Request) error { return c.Engine.Entitled(t.Context(), q.Run, q.Disk.Ref) }
			})
			run := b.Abandoned(c, ref, false)
			for _, key := range lost(run, string(ref.ID())) {
				b.Must(b.Queue.State().Delete(t.Context(), key))
			}
			if err := c.Engine.Entitled(t.Context(), run, other); err == nil {
				t.Error("a disk of which nothing is left gets a login")
			}
			b.Must(c.Engine.Entitled(t.Context(), run, ref))
			b.Settle(c)
			if m.Times(job.EndAccess) != 1 || len(b.Ledger()) != 0 {
				t.Errorf("access was ended %d times, the ledger has %v", m.Times(job.EndAccess), b.Ledger())
			}
			if err := c.Engine.Entitled(t.Context(), run, ref); err == nil {
				t.Error("a login is given when nothing is left to undo")
			}
		})
	}
}

// Of a vCenter that refuses the login a sweep has one line, whatever the number of disks
// and of their runs.
func TestSweepOfAVCenterThatRefusesTheLogin(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	s := b.Coordinator("one")
	for i := range 3 {
		ref := b.InLab(b.Disk(fmt.Sprint("disk-", i), 8).Ref)
		for range 2 {
			r := b.Run(backup.Kind, engine.Done)
			r.Ended = time.Now()
			b.Store(r, engine.Item{Key: engine.ItemKey(ref.ID()), Step: engine.Ended, Ended: time.Now(), Body: coordtest.Body(backup.Disk{Ref: ref})})
		}
	}
	b.Lab.SetPassword("new")
	_, err := b.Owner.EndLogins(t.Context())
	b.Must(err)
	b.Must(s.Backup.Sweep(t.Context(), s.Engine))
	if l := b.Said.Lines("looking for snapshots that came late failed"); len(l) != 1 {
		t.Errorf("%d lines, want one: %q", len(l), l)
	}
	b.SetPassword("new")
	b.Must(s.Backup.Sweep(t.Context(), s.Engine))
	if l := b.Said.Lines("looking for snapshots that came late failed"); len(l) != 1 {
		t.Errorf("with the right password: %q", l)
	}
}
