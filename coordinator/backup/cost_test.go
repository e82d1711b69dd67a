package backup_test

import (
	"slices"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/restore"
	"ivdmover/shared/ivd"
)

// diskAmong is a disk with content among n of its datastore.
func diskAmong(b *coordtest.Bench, n int) ivd.DiskRef {
	b.Helper()
	first := b.Disk("a", 1)
	for range n - 1 {
		_, err := b.Owner.Create(b.Context(), "datastore1", "other", 1)
		b.Must(err)
	}
	return b.InLab(first.Ref)
}

// What one disk's backup and restore ask of vSphere does not grow with the disks that
// are there: but for the names of the datastore's disks, which are asked for once.
func TestCallsOfOneDiskInAnEstate(t *testing.T) {
	t.Parallel()
	of := func(n int) (choose, begin, finish int) {
		b := coordtest.New(t)
		ref := diskAmong(b, n)
		c, _ := b.Serving("one")
		b.Mover("m")
		choose = b.Calls(func() {
			s, err := c.Backup.Run(t.Context(), backup.Request{Disks: []catalogue.Disk{{ID: ref.ID()}}})
			if b.Must(err); len(s.Items) != 1 {
				t.Errorf("%d items", len(s.Items))
			}
		})
		v := b.Until(c, b.Begin(c, backup.Request{Disks: []catalogue.Disk{{ID: ref.ID()}}}).ID, coordtest.Ended)
		if v.State != engine.Done {
			t.Fatalf("%s: %+v", v.State, v.Items[0].Failure)
		}
		q := restore.Request{Point: b.Backup(v.Items[0]).Point, Name: "back"}
		begin = b.Calls(func() {
			_, err := c.Restore.Run(t.Context(), q)
			b.Must(err)
		})
		finish = b.Calls(func() {
			if v = b.Until(c, b.BeginRestore(c, q).ID, coordtest.Ended); v.State != engine.Done {
				t.Fatalf("%s: %+v", v.State, v.Items[0].Failure)
			}
		})
		return choose, begin, finish
	}
	choose, begin, finish := of(5)
	choose2, begin2, finish2 := of(50)
	if choose2 != choose {
		t.Errorf("a backup of one disk asks %d times among 50, %d times among 5", choose2, choose)
	}
	if more := begin2 - begin; more > 45+5 {
		t.Errorf("a restore asks %d times more for its request among 50 than among 5", more)
	}
	if more := finish2 - finish; more > 5 { // a task may be asked for more often
		t.Errorf("a restore asks %d times more for its work among 50 than among 5", more)
	}
}

// A sweep asks for the snapshots of the disks that ended lately, and once in a day, for
// all coordinators, for those of all: one call for each.
func TestCallsOfASweep(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	ref := diskAmong(b, 50)
	one, two := b.Coordinator("one"), b.Coordinator("two")
	r := b.Run(backup.Kind, engine.Done)
	r.Ended = time.Now().UTC()
	b.Store(r, engine.Item{Key: engine.ItemKey(ref.ID()), Step: engine.Ended, Result: engine.Done, Ended: r.Ended, Body: coordtest.Body(backup.Disk{Ref: ref})})
	sweep := func(c *coordtest.Coordinator) int {
		return b.Calls(func() { b.Must(c.Backup.Sweep(t.Context(), c.Engine)) })
	}
	if n := sweep(one); n < 50 || n > 60 {
		t.Errorf("the first sweep asks %d times about 50 disks", n)
	}
	if n := sweep(one); n != 1 {
		t.Errorf("the next one asks %d times about the one disk that ended lately", n)
	}
	if n := sweep(two); n != 0 {
		t.Errorf("that of another coordinator asks %d times", n)
	}
	one.Clock.Advance(4 * time.Hour)
	if n := sweep(one); n != 0 {
		t.Errorf("hours later it asks %d times", n)
	}
	two.Clock.Advance(25 * time.Hour)
	late := backup.Mark(b.Repo, r.ID)
	_, err := b.VC.CreateSnapshot(t.Context(), ref, late)
	b.Must(err)
	if n := sweep(two); n < 50 || n > 70 {
		t.Errorf("a day later it asks %d times about 50 disks", n)
	}
	snaps, err := b.VC.Snapshots(t.Context(), ref)
	b.Must(err)
	if slices.ContainsFunc(snaps, func(s inventory.Snapshot) bool { return s.Description == late }) {
		t.Error("the late snapshot is left")
	}
}
