package run

import (
	"slices"
	"testing"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// A disk that vSphere finishes long after its restore is over goes; what a restore
// has brought back, what is under way, and what is not known stay.
func TestDiskThatComesLateIsSwept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, _ := b.watching("one")
	store, err := b.vc.Datastore(t.Context(), "datastore1")
	b.must(err)
	point := ivd.PointID("11111111-1111-4111-8111-111111111111/20261124T231502Z-20261124t231500z-1f0c2a9b")
	restore := func(step Step, result State, known bool) (id ivd.RunID, name string) {
		r := s.newRun(job.Restore)
		name = working(r.ID, point.Disk())
		made, err := b.vc.CreateDisk(t.Context(), store.ID, name, 1)
		b.must(err)
		d := Disk{Version: Version, Run: r.ID, Ref: made, From: point, Target: "back", Step: step, Result: result}
		if !known {
			d.Ref = ivd.NewDiskRef(d.Ref.Source(), d.Ref.Datastore(), "")
		}
		_, err = s.store(t.Context(), r, []Disk{d})
		b.must(err)
		return r.ID, name
	}
	_, failed := restore(Ended, Failed, false)
	done, renamed := restore(Ended, Done, true) // the user may call it what he likes
	_, moving := restore(Moving, "", true)
	late := working(done, point.Disk())
	_, err = b.vc.CreateDisk(t.Context(), store.ID, late, 2) // a second one of a restore that is done
	b.must(err)
	for _, name := range []string{"data", workingPrefix + "20200101t000000z-00000000-11111111"} {
		_, err := b.vc.CreateDisk(t.Context(), store.ID, name, 1)
		b.must(err)
	}
	b.must(s.sweepMade(t.Context()))
	var left []string
	for d, err := range b.vc.DisksOn(t.Context(), store.ID) {
		b.must(err)
		left = append(left, d.Name)
		if d.Name == renamed && d.Capacity != 1<<20 {
			t.Error("the disk that was brought back is gone, and the late one is left")
		}
	}
	slices.Sort(left)
	want := []string{"data", workingPrefix + "20200101t000000z-00000000-11111111", moving, renamed}
	slices.Sort(want)
	if slices.Contains(left, failed) || !slices.Equal(left, want) {
		t.Errorf("left are %q, want %q", left, want)
	}
}
