package backup_test

import (
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/plan"
	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/script"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// A storage array has copied a disk to another vCenter, its id and its tracking with it.
// Both are backed up in one run, each on what it is itself, also where one fails and
// where a coordinator takes them up in the middle.
func TestReplicatedDisk(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	b.Must(b.Owner.Track(t.Context(), d.Ref, true))
	m := b.Mover("m1")
	s, _ := b.Serving("alone")
	before := b.Backup(b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended).Items[0])

	east := b.Replica("east")
	sources := inventory.NewSources(b.VC, east.VC)
	c := b.CoordinatorOf("one", sources)
	stop := b.Serve(c)
	night := func(what string, want map[ivd.SourceID]plan.Mode) map[ivd.SourceID]backup.Disk {
		t.Helper()
		b.Write(d, 1<<20, 64<<10)
		if _, err := lab.Write(t.Context(), east.LabDir, d.Ref.ID(), 3<<20, lab.Random(7, 64<<10)); err != nil {
			t.Fatal(err)
		}
		c.Clock.Advance(time.Second)
		v := b.Until(c, b.Begin(c, backup.Request{All: true}).ID, coordtest.Ended)
		if v.State != engine.Done || len(v.Items) != 2 || v.Items[0].Key == v.Items[1].Key {
			t.Fatalf("%s: %s, %+v", what, v.State, v.Items)
		}
		disks := map[ivd.SourceID]backup.Disk{}
		for _, it := range v.Items {
			x := b.Backup(it)
			disks[x.Ref.Source()] = x
			if x.Mode != want[x.Ref.Source()] {
				t.Errorf("%s: %s is read by %q: %s", what, sources.Label(x.Ref.Source()), x.Mode, x.Note)
			}
			p, _, err := b.Repo.ReadPoint(t.Context(), x.Point)
			b.Must(err)
			if p.Source.ID != x.Ref.Source() || p.Disk.ID != d.Ref.ID() {
				t.Errorf("%s: a point of %s", what, p.Source.ID)
			}
		}
		return disks
	}
	west, other := b.VC.Source(), east.VC.Source()
	first := night("the first night of both", map[ivd.SourceID]plan.Mode{west: plan.Changed, other: plan.InUse})
	if first[west].Parent != before.Point || first[other].Parent != "" {
		t.Errorf("parents %q and %q", first[west].Parent, first[other].Parent)
	}
	second := night("the second", map[ivd.SourceID]plan.Mode{west: plan.Changed, other: plan.Changed})
	if second[west].Parent != first[west].Point || second[other].Parent != first[other].Point {
		t.Errorf("parents %q and %q", second[west].Parent, second[other].Parent)
	}

	// Of one that fails the other knows nothing.
	m.Set(func(p *coordtest.Puppet) {
		p.Answer = func(r job.Request) error {
			if r.Disk.Ref.Source() == other && r.Op == job.PrepareAccess {
				return ivd.Errorf(ivd.Denied, "not there")
			}
			return nil
		}
	})
	c.Clock.Advance(time.Second)
	v := b.Until(c, b.Begin(c, backup.Request{All: true}).ID, coordtest.Ended)
	for _, it := range v.Items {
		if want := map[bool]engine.State{true: engine.Failed, false: engine.Done}[b.Backup(it).Ref.Source() == other]; it.Result != want {
			t.Errorf("of %s: %s, want %s", b.Backup(it).Ref.Source(), it.Result, want)
		}
	}

	// A restart in the middle finds both.
	hold := make(chan struct{})
	m.Set(func(p *coordtest.Puppet) {
		p.Answer = nil
		p.Work = holding(hold)
	})
	began := len(m.Began())
	c.Clock.Advance(time.Second)
	id := b.Begin(c, backup.Request{All: true}).ID
	b.Until(c, id, func(engine.View) bool { return len(m.Began()) == began+2 })
	stop()
	c = b.CoordinatorOf("one", sources)
	b.Serve(c)
	close(hold)
	v = b.Until(c, id, coordtest.Ended)
	if v.State != engine.Done || len(m.Began()) != began+2 {
		t.Errorf("after a restart: %s, %d attempts, %+v", v.State, len(m.Began())-began, v.Items)
	}
	if len(b.Ledger()) != 0 {
		t.Errorf("ledger %v", b.Ledger())
	}
	b.NothingLeft(d)
	if snaps, err := east.Owner.Snapshots(t.Context(), d.Ref); err != nil || len(snaps) != 0 {
		t.Errorf("in the east: %d snapshots, %v", len(snaps), err)
	}
}

// Who names a disk that two vCenters have must say which, and can.
func TestReplicatedDiskByItsID(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	b.Mover("m1")
	east := b.Replica("east")
	c := b.CoordinatorOf("one", inventory.NewSources(b.VC, east.VC))
	b.Serve(c)
	_, err := c.StartBackup(t.Context(), backup.Request{Disks: []catalogue.Disk{{ID: d.Ref.ID()}}})
	if ivd.KindOf(err) != ivd.Unmet || !strings.Contains(err.Error(), "lab") || !strings.Contains(err.Error(), "east") || !strings.Contains(ivd.RemedyOf(err), "--vcenter") {
		t.Errorf("%v: %s", err, ivd.RemedyOf(err))
	}
	for name, source := range map[string]ivd.SourceID{"lab": b.VC.Source(), "east": east.VC.Source()} {
		v := b.Until(c, b.Begin(c, backup.Request{Disks: []catalogue.Disk{{ID: d.Ref.ID()}}, VCenter: name}).ID, coordtest.Ended)
		if v.State != engine.Done || len(v.Items) != 1 || b.Backup(v.Items[0]).Ref.Source() != source || string(v.Items[0].Key) != string(d.Ref.ID()) {
			t.Errorf("%s: %s, %+v", name, v.State, v.Items)
		}
		c.Clock.Advance(time.Second)
	}
	v := b.Until(c, b.Begin(c, backup.Request{All: true, VCenter: "east"}).ID, coordtest.Ended)
	if v.State != engine.Done || len(v.Items) != 1 || b.Backup(v.Items[0]).Ref.Source() != east.VC.Source() {
		t.Errorf("all of one: %+v", v.Items)
	}
	if _, err := c.StartBackup(t.Context(), backup.Request{All: true, VCenter: "north"}); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("of a vCenter that is not there: %v", err)
	}
}

// A disk that one vCenter lists on two datastores is backed up once. Where it is being
// relocated that is all; where both are there, the other is told of.
func TestDiskListedTwice(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	b.Mover("m1")
	c, _ := b.Serving("one")
	list := script.Answer{Call: "ListVStorageObject", Also: []string{string(d.Ref.ID())}}
	b.Must(script.WriteAnswers(b.LabDir, list))
	v := b.Until(c, b.Begin(c, backup.Request{All: true}).ID, coordtest.Ended)
	if v.State != engine.Done || len(v.Items) != 1 {
		t.Errorf("on its way: %s, %+v, %+v", v.State, v.Failure, v.Items)
	}
	b.Must(script.WriteAnswers(b.LabDir, list, script.Answer{Call: "RetrieveVStorageObject", Disk: string(d.Ref.ID()), Anywhere: true}))
	for what, q := range map[string]backup.Request{"all": {All: true}, "by its id": {Disks: []catalogue.Disk{{ID: d.Ref.ID()}}}} {
		c.Clock.Advance(time.Second)
		v = b.Until(c, b.Begin(c, q).ID, coordtest.Ended)
		if v.State != engine.Partial || len(v.Items) != 1 || v.Items[0].Result != engine.Done || v.Failure == nil || !strings.Contains(v.Failure.Message, "twice") ||
			!strings.Contains(v.Failure.Message, "datastore1") || !strings.Contains(v.Failure.Message, "datastore2") {
			t.Errorf("%s: %s, %+v, %+v", what, v.State, v.Failure, v.Items)
		}
	}
}
