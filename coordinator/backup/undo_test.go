package backup_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/format"
	"ivdmover/shared/job"
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
	for _, mark := range []string{backup.Mark(run), backup.Mark("another"), "by hand", backup.Mark(run) + "0", "of " + backup.Mark(run), backup.Mark(run)} {
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
	_, err := b.VC.CreateSnapshot(t.Context(), ref, backup.Mark(run))
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

// The sweep deletes what runs that are over have left, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	ref := b.InLab(d.Ref)
	s := b.Coordinator("one")
	over, living := b.Run(backup.Kind, engine.Done), b.Run(backup.Kind, engine.Running)
	for _, r := range []engine.Run{over, living} {
		b.Store(r, engine.Item{Key: engine.ItemKey(ref.ID()), Step: engine.Moving, Body: coordtest.Body(backup.Disk{Ref: ref})})
	}
	b.Must(b.Repo.PutRun(t.Context(), format.Run{ID: "forgotten", Kind: "backup", State: "done"}))
	keep := []string{"by hand", backup.Mark("unknown"), backup.Mark(living.ID)}
	for _, mark := range append([]string{backup.Mark(over.ID), backup.Mark("forgotten")}, keep...) {
		_, err := b.VC.CreateSnapshot(t.Context(), ref, mark)
		b.Must(err)
	}
	b.Must(s.Backup.Sweep(t.Context(), s.Engine))
	snaps, err := b.VC.Snapshots(t.Context(), ref)
	b.Must(err)
	var left []string
	for _, snap := range snaps {
		left = append(left, snap.Description)
	}
	if !slices.Equal(left, keep) {
		t.Errorf("left are %q, want %q", left, keep)
	}
}
