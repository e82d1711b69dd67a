package collect_test

import (
	"testing"
	"time"

	"ivdmover/coordinator/collect"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store"
)

// A mark that is not understood stays, whether its point is there or not.
func TestUnknownMarkStays(t *testing.T) {
	r := repotest.New(t)
	gone := ivd.NewPointID(r.Domain(), "vc", "disk", time.Unix(0, 0), "run")
	name := store.Name("pins/" + gone)
	if err := r.Clock.Put(t.Context(), name, []byte("IVDFUTUR, of a later release")); err != nil {
		t.Fatal(err)
	}
	if _, err := collect.New(r.Repository, collect.Options{MaxShare: 1}).Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Clock.Stat(t.Context(), name); err != nil {
		t.Errorf("the mark: %v", err)
	}
}

// What one list names no other one names again, writers' records among it.
func TestNothingIsCondemnedTwice(t *testing.T) {
	r := repotest.New(t)
	w, err := r.NewWriter(r.Lease(repo.WriteLease), ivd.NewWriterID(), "mover")
	if err != nil {
		t.Fatal(err)
	}
	p := w.NewPack(format.DataPack)
	repotest.Chunk(p, r.Suite().ID([]byte("content")), []byte("content"))
	if _, _, _, err := w.PutPack(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	r.Pass(3 * 24 * time.Hour) // its lease is over
	r.Lease(repo.ReadLease)    // which the list waits for
	c := collect.New(r.Repository, collect.Options{MinAge: 1, MaxShare: 1})
	for i, want := range []format.Counts{{Packs: 1, Writers: 1}, {}} {
		if rep, err := c.Collect(t.Context()); err != nil || rep.Condemned != want {
			t.Errorf("collection %d: %+v, %v", i+1, rep.Condemned, err)
		}
	}
}
