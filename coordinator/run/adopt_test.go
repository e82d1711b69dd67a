package run

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// skipped is a clock that shows more time than has passed.
type skipped struct{ by atomic.Int64 }

func (c *skipped) now() time.Time           { return time.Now().Add(time.Duration(c.by.Load())) }
func (c *skipped) advance(by time.Duration) { c.by.Add(int64(by)) }

// watching is a coordinator that has begun and looks at others only when told.
func (b *bench) watching(instance string) (*Service, *skipped) {
	b.Helper()
	s, c := b.service(instance), &skipped{}
	s.now = c.now
	ctx, end := context.WithCancelCause(context.Background())
	s.life = ctx
	close(s.begun)
	b.Cleanup(func() { end(errShutdown); s.group.Wait() })
	s.gate.setFleet(4)
	return s, c
}

// A coordinator that is silent for 15 s by another's clock loses its run to that
// one, not sooner; what it began is finished.
func TestSilentOwnersRunIsTakenOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	m := b.mover("m1")
	hold := make(chan struct{})
	m.set(func(p *puppet) {
		p.work = func(ctx context.Context, _ job.Record) error {
			select {
			case <-hold:
			case <-ctx.Done():
			}
			return nil
		}
	})
	one, stop := b.serving("one")
	id := b.backup(one, BackupRequest{All: true}).ID
	b.until(one, id, func(v View) bool { return atStep(Moving)(v) && len(m.began()) > 0 })
	stop() // "one" never comes back
	two, clock := b.watching("two")
	b.must(two.adopt(t.Context()))
	clock.advance(silentOwner - time.Second)
	b.must(two.adopt(t.Context()))
	if two.find(id) != nil {
		t.Fatal("taken over too soon")
	}
	clock.advance(2 * time.Second)
	b.must(two.adopt(t.Context()))
	if two.find(id) == nil {
		t.Fatal("not taken over")
	}
	close(hold)
	v := b.until(two, id, ended)
	if v.State != Done || v.Owner != "two" || len(b.points(d.Ref.ID())) != 1 {
		t.Errorf("%+v", v)
	}
	if n := len(m.began()); n != 1 {
		t.Errorf("the job was done %d times", n)
	}
	b.nothingLeft(d)
}

// An owner that lives and was only not heard of loses its run all the same. It
// notices at its next word, and changes nothing after that; the successor's word
// is never refused.
func TestOwnerThatLivesLeavesItsRun(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	one, _ := b.serving("one")
	id := b.backup(one, BackupRequest{All: true}).ID // waits: there is no mover
	two, clock := b.watching("two")
	two.gate.setFleet(0)
	b.must(two.adopt(t.Context()))
	clock.advance(silentOwner + time.Second)
	old := one.find(id)
	b.must(two.adopt(t.Context()))
	if two.find(id) == nil {
		t.Fatal("not taken over")
	}
	b.until(two, id, atStep(Waiting))
	// Its disks are fenced: what the old owner still stores of one is refused.
	disks, err := one.listDisks(t.Context(), id)
	b.must(err)
	late := &task{s: one, run: old, rec: disks[0].Disk, rev: disks[0].rev - 1, log: one.Log}
	if err := late.save(t.Context(), func(d *Disk) { d.Step = Preparing }); ivd.KindOf(err) != ivd.Permanent {
		t.Errorf("the old owner's late word: %v", err)
	}
	b.mover("m1")
	two.gate.setFleet(4)
	v := b.until(two, id, ended)
	if v.State != Done || v.Owner != "two" {
		t.Errorf("%s, of %s: %+v", v.State, v.Owner, v.Disks)
	}
	<-old.done
	if got := b.points(d.Ref.ID()); len(got) != 1 {
		t.Errorf("points %v", got)
	}
	b.nothingLeft(d)
}

func TestOnesOwnEarlierStartIsTakenUpAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	one, stop := b.serving("one")
	id := b.backup(one, BackupRequest{All: true}).ID
	stop()
	b.mover("m1")
	again, _ := b.serving("one")
	if v := b.until(again, id, ended); v.State != Done || v.OwnerRun == one.start {
		t.Errorf("%+v", v)
	}
	b.nothingLeft(d)
}

// A run that was stored without an answer, or could not be brought to its end, is
// taken up again by the same start.
func TestRunThatNobodyDrivesIsTakenUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	s, clock := b.watching("one")
	b.mover("m1")
	r := s.newRun(job.Backup)
	_, err := s.store(t.Context(), r, []Disk{{Version: Version, Run: r.ID, Ref: d.Ref, Name: "a", Step: Waiting, CBT: "use"}})
	b.must(err)
	disk, err := b.vc.Find(t.Context(), d.Ref.ID())
	b.must(err)
	stored, rev, err := s.getDisk(t.Context(), r.ID, d.Ref.ID())
	b.must(err)
	stored.Ref = disk.Ref
	_, err = b.queue.State().Update(t.Context(), diskKey(stored), stored, rev)
	b.must(err)
	b.must(s.adopt(t.Context()))
	if s.find(r.ID) != nil {
		t.Error("a run that may be beginning was taken")
	}
	clock.advance(silentOwner + time.Second)
	b.must(s.adopt(t.Context()))
	if v := b.until(s, r.ID, ended); v.State != Done {
		t.Errorf("%+v", v)
	}
}

// What is another's by its nature is left to others: a vCenter that we do not
// know, another repository, a newer program's record. None hides the rest.
func TestRunsThatAreNotOurs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, clock := b.watching("one")
	put := func(change func(*Run, *Disk)) ivd.RunID {
		r := s.newRun(job.Backup)
		r.Owner = "gone"
		d := Disk{Version: Version, Run: r.ID, Ref: ivd.NewDiskRef(b.vc.Source(), "", "11111111-1111-4111-8111-111111111111"), Step: Ended, Result: Done}
		change(&r, &d)
		_, err := s.store(t.Context(), r, []Disk{d})
		b.must(err)
		return r.ID
	}
	others := []ivd.RunID{
		put(func(_ *Run, d *Disk) { d.Ref = ivd.NewDiskRef("elsewhere", d.Ref.Datastore(), d.Ref.ID()) }),
		put(func(r *Run, _ *Disk) { r.Repository = "another" }),
		put(func(r *Run, _ *Disk) { r.Version = Version + 1 }),
	}
	ours := put(func(*Run, *Disk) {})
	b.must(s.adopt(t.Context()))
	clock.advance(silentOwner + time.Second)
	b.must(s.adopt(t.Context()))
	if v := b.until(s, ours, ended); v.State != Done {
		t.Errorf("ours: %+v", v)
	}
	for i, id := range others {
		if s.find(id) != nil {
			t.Errorf("run %d was taken", i)
		}
	}
	views, err := s.Runs(t.Context())
	if err != nil || len(views) != 3 {
		t.Errorf("%d runs are listed, %v", len(views), err)
	}
	if n := b.leases(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
}

// A coordinator that dies between the commit and its record leaves a point; its
// successor sees that it is the run's own.
func TestPointThatWasCommittedBefore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	b.mover("m1")
	one, _ := b.watching("one")
	v := b.backup(one, BackupRequest{All: true})
	v = b.until(one, v.ID, ended)

	// The same run as it was stored before its commit was.
	disk, rev, err := one.getDisk(t.Context(), v.ID, d.Ref.ID())
	b.must(err)
	disk.Step, disk.Result, disk.Ended = Closing, "", time.Time{}
	stats := disk.Stats
	disk.Stats = ivd.Stats{}
	_, err = b.queue.State().Update(t.Context(), diskKey(disk), disk, rev)
	b.must(err)
	r, rev, err := one.getRun(t.Context(), v.ID)
	b.must(err)
	r.State, r.Ended = Running, time.Time{}
	_, err = b.queue.State().Update(t.Context(), runKey(r.ID), r, rev)
	b.must(err)
	two, _ := b.serving("one")
	after := b.until(two, v.ID, ended)
	if after.State != Done || after.Disks[0].Point != v.Disks[0].Point {
		t.Errorf("%s: %+v", after.State, after.Disks[0].Failure)
	}
	if after.Disks[0].Stats.ReadBytes != stats.ReadBytes || stats.ReadBytes == 0 {
		t.Errorf("figures %+v, want %+v", after.Disks[0].Stats, stats)
	}
	if n := b.leases(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
}

// What was sealed under an older lease is named only where no list condemns it.
func TestRecheckOfOlderSeals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.disk("a", 8)
	m := b.mover("m1")
	one, stop := b.serving("one")
	hold := make(chan struct{})
	m.set(func(p *puppet) {
		p.work = func(context.Context, job.Record) error { <-hold; return nil }
	})
	id := b.backup(one, BackupRequest{All: true}).ID
	b.until(one, id, func(View) bool { return len(m.began()) > 0 })
	stop()
	close(hold)
	rec := b.job(id)
	page, err := b.repo.Page(t.Context(), rec.Pages[0], b.geometry(one, id))
	b.must(err)
	b.condemn(page.Packs[0].Pack)
	two, _ := b.serving("one")
	v := b.until(two, id, ended)
	if v.State != Failed || v.Disks[0].Failure.Kind != ivd.Permanent {
		t.Errorf("%+v, %+v", v, v.Disks[0].Failure)
	}
}
