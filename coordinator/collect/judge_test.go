package collect_test

import (
	"testing"

	"ivdmover/coordinator/collect"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo/repotest"
)

// Of a disk whose points are all damaged and given up the newest one stays, and no other:
// what a collection condemns it does not spare again each time.
func TestDamagedPointsAreCollected(t *testing.T) {
	r := repotest.New(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: 4 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	for i := range 3 {
		if _, err := d.WriteAt([]byte{byte(1 + i)}, int64(i)*ivd.MinChunkSize); err != nil {
			t.Fatal(err)
		}
		p := r.Save(d, repotest.Layout{})
		r.Retire(p.Pages[0].Place.Pack)
		if err := r.Forget(t.Context(), format.Forgotten{Point: p.ID, Reason: "a test"}); err != nil {
			t.Fatal(err)
		}
	}
	c := collect.New(r.Repository, collect.Options{MinAge: 1, MaxShare: 1})
	for i, want := range []int64{2, 0} {
		rep, err := c.Collect(t.Context())
		if err != nil || rep.Condemned.Points != want || rep.Deleted.Points != want || rep.Spared.Points != 0 {
			t.Errorf("collection %d: %+v, %v", i+1, rep, err)
		}
	}
}
