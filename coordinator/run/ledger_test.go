package run

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// entry stores a ledger entry of a disk of a run that is over.
func (b *bench) entry(s *Service, ref ivd.DiskRef, d func(*Disk)) Ledger {
	b.Helper()
	r := s.newRun(job.Backup)
	r.State = Failed
	disk := Disk{Version: Version, Run: r.ID, Ref: ref, Step: Ended, Result: Failed, Snapshot: "known"}
	if d != nil {
		d(&disk)
	}
	_, err := s.store(b.Context(), r, []Disk{disk})
	b.must(err)
	l := Ledger{Version: Version, Run: r.ID, Kind: job.Backup, Ref: ref, Key: ref.ID(), Identity: "who", Opened: time.Now()}
	_, err = s.open(b.Context(), l)
	b.must(err)
	return l
}

func (b *bench) ledger() []string {
	b.Helper()
	keys, err := b.queue.State().Keys(b.Context(), "ledger.")
	b.must(err)
	return keys
}

// What ended runs have left is undone by whoever looks next; snapshots of others
// stay.
func TestLedgerIsReplayed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	ref := d.Ref
	ref = ivd.NewDiskRef(b.vc.Source(), ref.Datastore(), ref.ID())
	s, _ := b.watching("one")
	m := b.mover("m1")
	l := b.entry(s, ref, nil)
	for _, mark := range []string{Mark(l.Run), Mark("another"), "by hand", Mark(l.Run)} {
		_, err := b.vc.CreateSnapshot(t.Context(), ref, mark)
		b.must(err)
	}
	b.must(s.settleLedger(t.Context()))
	s.settling.group.Wait()
	if n := b.snapshots(d); n != 2 {
		t.Errorf("%d snapshots are left, want those of others", n)
	}
	if m.times(job.EndAccess) != 1 || len(b.ledger()) != 0 {
		t.Errorf("access was ended %d times, the ledger has %v", m.times(job.EndAccess), b.ledger())
	}
}

// A snapshot whose task was still under way when its run was cleaned up is deleted
// when it comes.
func TestSnapshotThatComesLate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	ref := d.Ref
	ref = ivd.NewDiskRef(b.vc.Source(), ref.Datastore(), ref.ID())
	s, clock := b.watching("one")
	m := b.mover("m1")
	l := b.entry(s, ref, func(d *Disk) { d.Snapshot = "" })
	settle := func() {
		t.Helper()
		clock.advance(2 * time.Minute)
		b.must(s.settleLedger(t.Context()))
		s.settling.group.Wait()
	}
	settle()
	if len(b.ledger()) != 1 || m.times(job.EndAccess) != 1 {
		t.Fatalf("the ledger has %v, access was ended %d times", b.ledger(), m.times(job.EndAccess))
	}
	_, err := b.vc.CreateSnapshot(t.Context(), ref, Mark(l.Run))
	b.must(err)
	settle()
	b.nothingLeft(d)
	if m.times(job.EndAccess) != 2 {
		t.Errorf("access was ended %d times: a late snapshot's too", m.times(job.EndAccess))
	}
	settle()
	clock.advance(lateTask)
	settle()
	if m.times(job.EndAccess) != 2 || len(b.ledger()) != 0 {
		t.Errorf("access was ended %d times, the ledger has %v", m.times(job.EndAccess), b.ledger())
	}
}

// One whose disk cannot be reached keeps no other waiting, and is not asked about
// all the time.
func TestLedgerEntryThatFailsWaitsAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	ref := d.Ref
	ref = ivd.NewDiskRef(b.vc.Source(), ref.Datastore(), ref.ID())
	s, clock := b.watching("one")
	b.mover("m1")
	stuck := b.entry(s, ivd.NewDiskRef("gone", "", ref.ID()), nil)
	b.entry(s, ref, nil)
	tries := func() int {
		s.settling.mu.Lock()
		defer s.settling.mu.Unlock()
		return s.settling.entries[ledgerKey(stuck.Run, stuck.Key)].tries
	}
	for range 5 {
		b.must(s.settleLedger(t.Context()))
		s.settling.group.Wait()
	}
	if want := []string{ledgerKey(stuck.Run, stuck.Key)}; !slices.Equal(b.ledger(), want) || tries() != 1 {
		t.Errorf("the ledger has %v after %d tries", b.ledger(), tries())
	}
	clock.advance(time.Hour)
	b.must(s.settleLedger(t.Context()))
	s.settling.group.Wait()
	if tries() != 2 {
		t.Errorf("%d tries after an hour", tries())
	}
}

// The answer to a creation is lost: the snapshot is found by its mark and used, and
// there is one.
func TestSnapshotWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	b.mover("m1")
	s, _ := b.serving("one")
	var lost atomic.Bool
	b.wire.after("VStorageObjectCreateSnapshot_Task", func() error {
		if lost.Swap(true) {
			return nil
		}
		return errors.New("the answer is lost")
	})
	v := b.until(s, b.backup(s, BackupRequest{All: true}).ID, ended)
	if v.State != Done || !lost.Load() {
		t.Errorf("%s: %+v", v.State, v.Disks[0].Failure)
	}
	b.nothingLeft(d)
}

// The sweep deletes what runs that are over have left, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	ref := d.Ref
	ref = ivd.NewDiskRef(b.vc.Source(), ref.Datastore(), ref.ID())
	s, _ := b.watching("one")
	over := s.newRun(job.Backup)
	over.State = Done
	living := s.newRun(job.Backup)
	for _, r := range []Run{over, living} {
		_, err := s.store(t.Context(), r, []Disk{{Version: Version, Run: r.ID, Ref: ref, Step: Moving}})
		b.must(err)
	}
	b.must(b.repo.Summarize(t.Context(), "forgotten", View{Run: Run{State: Done}}))
	keep := []string{"by hand", Mark("unknown"), Mark(living.ID)}
	for _, mark := range append([]string{Mark(over.ID), Mark("forgotten")}, keep...) {
		_, err := b.vc.CreateSnapshot(t.Context(), ref, mark)
		b.must(err)
	}
	b.must(s.sweep(t.Context()))
	snaps, err := b.vc.Snapshots(t.Context(), ref)
	b.must(err)
	var left []string
	for _, s := range snaps {
		left = append(left, s.Description)
	}
	if !slices.Equal(left, keep) {
		t.Errorf("left are %q, want %q", left, keep)
	}
}
