package engine_test

import (
	"context"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// watching is a coordinator that has begun and looks at others only when told.
func watching(b *coordtest.Bench, instance string) *coordtest.Coordinator {
	b.Helper()
	c := b.Coordinator(instance)
	b.Cleanup(c.Engine.WatchNothing())
	return c
}

// A coordinator that is silent for 15 s by another's clock loses its run to that
// one, not sooner; what it began is finished.
func TestSilentOwnersRunIsTakenOver(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	m := b.Mover("m1")
	hold := make(chan struct{})
	m.Set(func(p *coordtest.Puppet) {
		p.Work = func(ctx context.Context, _ job.Record) error {
			select {
			case <-hold:
			case <-ctx.Done():
			}
			return nil
		}
	})
	one, stop := b.Serving("one")
	id := b.Begin(one, backup.Request{All: true}).ID
	b.Until(one, id, func(v engine.View) bool { return coordtest.AtStep(engine.Moving)(v) && len(m.Began()) > 0 })
	stop() // "one" never comes back
	two := watching(b, "two")
	b.Must(two.Engine.Adopt(t.Context()))
	two.Clock.Advance(engine.SilentOwner - time.Second)
	b.Must(two.Engine.Adopt(t.Context()))
	if two.Engine.Drives(id) {
		t.Fatal("taken over too soon")
	}
	two.Clock.Advance(2 * time.Second)
	b.Must(two.Engine.Adopt(t.Context()))
	if !two.Engine.Drives(id) {
		t.Fatal("not taken over")
	}
	close(hold)
	v := b.Until(two, id, coordtest.Ended)
	if v.State != engine.Done || v.Owner != "two" || len(b.Points(d.Ref.ID())) != 1 {
		t.Errorf("%+v", v)
	}
	if n := len(m.Began()); n != 1 {
		t.Errorf("the job was done %d times", n)
	}
	b.NothingLeft(d)
}

// An owner that lives and was only not heard of loses its run all the same. It
// notices at its next word, and changes nothing after that; the successor's word
// is never refused.
func TestOwnerThatLivesLeavesItsRun(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	one, _ := b.Serving("one")
	id := b.Begin(one, backup.Request{All: true}).ID // waits: there is no mover
	two := watching(b, "two")
	two.Engine.SetFleet(0)
	b.Must(two.Engine.Adopt(t.Context()))
	two.Clock.Advance(engine.SilentOwner + time.Second)
	left := one.Engine.Left(id)
	b.Must(two.Engine.Adopt(t.Context()))
	if !two.Engine.Drives(id) {
		t.Fatal("not taken over")
	}
	b.Until(two, id, coordtest.AtStep(engine.Waiting))
	// Its items are fenced: what the old owner still stores of one is refused.
	if err := one.Engine.SaveLate(t.Context(), id); ivd.KindOf(err) != ivd.Permanent {
		t.Errorf("the old owner's late word: %v", err)
	}
	b.Mover("m1")
	two.Engine.SetFleet(4)
	v := b.Until(two, id, coordtest.Ended)
	if v.State != engine.Done || v.Owner != "two" {
		t.Errorf("%s, of %s: %+v", v.State, v.Owner, v.Items)
	}
	<-left
	if got := b.Points(d.Ref.ID()); len(got) != 1 {
		t.Errorf("points %v", got)
	}
	b.NothingLeft(d)
}

func TestOnesOwnEarlierStartIsTakenUpAtOnce(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	one, stop := b.Serving("one")
	id := b.Begin(one, backup.Request{All: true}).ID
	stop()
	b.Mover("m1")
	again, _ := b.Serving("one")
	if v := b.Until(again, id, coordtest.Ended); v.State != engine.Done || v.OwnerRun == one.Engine.Start() {
		t.Errorf("%+v", v)
	}
	b.NothingLeft(d)
}

// A run that was stored without an answer, or could not be brought to its end, is
// taken up again by the same start.
func TestRunThatNobodyDrivesIsTakenUp(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	s := watching(b, "one")
	b.Mover("m1")
	r := b.Run(backup.Kind, engine.Running)
	r.OwnerRun = s.Engine.Start()
	b.Store(r, engine.Item{Key: engine.ItemKey(d.Ref.ID()), Step: engine.Waiting, Body: coordtest.Body(backup.Disk{Ref: b.InLab(d.Ref), Name: "a", CBT: "use"})})
	b.Must(s.Engine.Adopt(t.Context()))
	if s.Engine.Drives(r.ID) {
		t.Error("a run that may be beginning was taken")
	}
	s.Clock.Advance(engine.SilentOwner + time.Second)
	b.Must(s.Engine.Adopt(t.Context()))
	if v := b.Until(s, r.ID, coordtest.Ended); v.State != engine.Done {
		t.Errorf("%+v", v)
	}
}

// What is another's by its nature is left to others: a vCenter that we do not
// know, another repository, a newer program's record. None hides the rest.
func TestRunsThatAreNotOurs(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	s := watching(b, "one")
	put := func(change func(*engine.Run, *backup.Disk)) ivd.RunID {
		r := b.Run(backup.Kind, engine.Running)
		r.Owner = "gone"
		d := backup.Disk{Ref: ivd.NewDiskRef(b.VC.Source(), "", "11111111-1111-4111-8111-111111111111")}
		change(&r, &d)
		b.Store(r, engine.Item{Key: engine.ItemKey(d.Ref.ID()), Step: engine.Ended, Result: engine.Done, Body: coordtest.Body(d)})
		return r.ID
	}
	others := []ivd.RunID{
		put(func(_ *engine.Run, d *backup.Disk) {
			d.Ref = ivd.NewDiskRef("elsewhere", d.Ref.Datastore(), d.Ref.ID())
		}),
		put(func(r *engine.Run, _ *backup.Disk) { r.Repository = "another" }),
		put(func(r *engine.Run, _ *backup.Disk) { r.Version = engine.Version + 1 }),
		put(func(r *engine.Run, _ *backup.Disk) { r.Kind = "newer" }),
	}
	ours := put(func(*engine.Run, *backup.Disk) {})
	b.Must(s.Engine.Adopt(t.Context()))
	s.Clock.Advance(engine.SilentOwner + time.Second)
	b.Must(s.Engine.Adopt(t.Context()))
	if v := b.Until(s, ours, coordtest.Ended); v.State != engine.Done {
		t.Errorf("ours: %+v", v)
	}
	for i, id := range others {
		if s.Engine.Drives(id) {
			t.Errorf("run %d was taken", i)
		}
	}
	views, unread, err := s.Engine.Runs(t.Context())
	if err != nil || len(views) != 4 {
		t.Errorf("%d runs are listed, %v", len(views), err)
	}
	if len(unread) != 1 || ivd.KindOf(unread[others[2]]) != ivd.Unsupported {
		t.Errorf("not readable: %v", unread)
	}
	if n := b.Leases(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
}

// A coordinator that dies between the commit and its record leaves a point; its
// successor sees that it is the run's own.
func TestPointThatWasCommittedBefore(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	b.Mover("m1")
	one := watching(b, "one")
	v := b.Begin(one, backup.Request{All: true})
	v = b.Until(one, v.ID, coordtest.Ended)

	// The same run as it was stored before its commit was.
	disk, rev, err := one.Engine.StoredItem(t.Context(), v.ID, engine.ItemKey(d.Ref.ID()))
	b.Must(err)
	disk.Step, disk.Result, disk.Ended = engine.Closing, "", time.Time{}
	stats := disk.Stats
	disk.Stats = ivd.Stats{}
	_, err = b.Queue.State().Update(t.Context(), itemKey(disk), disk, rev)
	b.Must(err)
	r, rev, err := one.Engine.Stored(t.Context(), v.ID)
	b.Must(err)
	r.State, r.Ended = engine.Running, time.Time{}
	_, err = b.Queue.State().Update(t.Context(), "run."+string(r.ID), r, rev)
	b.Must(err)
	two, _ := b.Serving("one")
	after := b.Until(two, v.ID, coordtest.Ended)
	if after.State != engine.Done || b.Backup(after.Items[0]).Point != b.Backup(v.Items[0]).Point {
		t.Errorf("%s: %+v", after.State, after.Items[0].Failure)
	}
	if after.Items[0].Stats.ReadBytes != stats.ReadBytes || stats.ReadBytes == 0 {
		t.Errorf("figures %+v, want %+v", after.Items[0].Stats, stats)
	}
	if n := b.Leases(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
}

// What was sealed under an older lease is named only where no list condemns it.
func TestRecheckOfOlderSeals(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("a", 8)
	m := b.Mover("m1")
	one, stop := b.Serving("one")
	hold := make(chan struct{})
	m.Set(func(p *coordtest.Puppet) {
		p.Work = func(context.Context, job.Record) error { <-hold; return nil }
	})
	id := b.Begin(one, backup.Request{All: true}).ID
	b.Until(one, id, func(engine.View) bool { return len(m.Began()) > 0 })
	stop()
	close(hold)
	rec := b.Job(id)
	page, err := b.Repo.Page(t.Context(), rec.Pages[0], geometry(b, one, id))
	b.Must(err)
	b.Condemn(page.Packs[0].Pack)
	two, _ := b.Serving("one")
	v := b.Until(two, id, coordtest.Ended)
	if v.State != engine.Failed || v.Items[0].Failure.Kind != ivd.Permanent {
		t.Errorf("%+v, %+v", v, v.Items[0].Failure)
	}
}

func geometry(b *coordtest.Bench, c *coordtest.Coordinator, id ivd.RunID) ivd.Geometry {
	b.Helper()
	v, err := c.Engine.View(b.Context(), id)
	b.Must(err)
	return b.Backup(v.Items[0]).Geometry
}
