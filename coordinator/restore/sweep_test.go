package restore_test

import (
	"slices"
	"testing"
	"time"

	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/restore"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// A disk that vSphere finishes long after its restore is over goes; what a restore
// has brought back, what is under way, and what is not known stay.
func TestDiskThatComesLateIsSwept(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	s := b.Coordinator("one")
	store, err := b.VC.Datastore(t.Context(), "datastore1")
	b.Must(err)
	point := ivd.NewPointID(b.Repo.Domain(), b.VC.Source(), "11111111-1111-4111-8111-111111111111", time.Now(), "20261124t231500z-1f0c2a9b")
	key := engine.ItemKey(point.Disk())
	var doneDisk ivd.DiskID
	began := func(step engine.Step, result engine.State, known bool) (id ivd.RunID, name string) {
		r := b.Run(restore.Kind, engine.Running)
		name = restore.Working(r.ID, key)
		made, err := b.VC.CreateDisk(t.Context(), store.ID, name, 1, restore.Marks(r.ID, key)...)
		b.Must(err)
		d := restore.Disk{Ref: made, From: point, Target: "back"}
		if result == engine.Done {
			doneDisk = made.ID()
			d, err := b.VC.Disk(t.Context(), made)
			b.Must(err)
			b.Must(b.VC.Unmark(t.Context(), d))
		}
		if !known {
			d.Ref = ivd.NewDiskRef(d.Ref.Source(), d.Ref.Datastore(), "")
		}
		b.Store(r, engine.Item{Key: key, Step: step, Result: result, Body: coordtest.Body(d)})
		return r.ID, name
	}
	_, failed := began(engine.Ended, engine.Failed, false)
	done, renamed := began(engine.Ended, engine.Done, true) // the user may call it what he likes
	_, moving := began(engine.Moving, "", true)
	late := restore.Working(done, key)
	b.Must(b.Repo.PutRestored(t.Context(), format.Restored{
		Run: done, Item: string(key), Point: point, Source: b.VC.Source(), Datastore: store.ID, Disk: doneDisk, Name: "back",
	}))
	_, err = b.VC.CreateDisk(t.Context(), store.ID, late, 2, restore.Marks(done, key)...) // a second one of a restore that is done
	b.Must(err)
	for _, name := range []string{"data", restore.WorkingPrefix + "20200101t000000z-00000000-11111111"} {
		_, err := b.VC.CreateDisk(t.Context(), store.ID, name, 1)
		b.Must(err)
	}
	b.Must(s.Restore.Sweep(t.Context(), s.Engine))
	var left []string
	for d, err := range b.VC.DisksOn(t.Context(), store.ID) {
		b.Must(err)
		left = append(left, d.Name)
		if d.Name == renamed && d.Capacity != 1<<20 {
			t.Error("the disk that was brought back is gone, and the late one is left")
		}
	}
	slices.Sort(left)
	want := []string{"data", restore.WorkingPrefix + "20200101t000000z-00000000-11111111", moving, renamed}
	slices.Sort(want)
	if slices.Contains(left, failed) || !slices.Equal(left, want) {
		t.Errorf("left are %q, want %q", left, want)
	}
}
