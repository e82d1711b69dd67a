package collect_test

import (
	"slices"
	"strings"
	"testing"

	"ivdmover/coordinator/collect"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store"
)

// A point whose page is lost stops collections, which say how it is taken out of them;
// then what only this point needs is deleted, and what others need stays.
func TestQuarantine(t *testing.T) {
	r := repotest.New(t)
	save := func(v byte) repotest.Point {
		d := repotest.NewDisk(ivd.Geometry{Capacity: 4 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
		if _, err := d.WriteAt([]byte{v}, 0); err != nil {
			t.Fatal(err)
		}
		return r.Save(d, repotest.Layout{})
	}
	lost, whole := save(1), save(2)
	page := r.PackName(format.IndexPack, lost.Pages[0].Place.Pack)
	if err := r.Clock.Delete(t.Context(), page); err != nil {
		t.Fatal(err)
	}
	c := collect.New(r.Repository, collect.Options{MinAge: 1, MaxShare: 1})
	_, err := c.Collect(t.Context())
	if !strings.Contains(ivd.RemedyOf(err), "`ivd repo quarantine`") || !strings.Contains(err.Error(), string(lost.ID)) {
		t.Errorf("a page is lost: %v (%s)", err, ivd.RemedyOf(err))
	}
	if err := collect.Readable(t.Context(), r.Repository, lost.ID); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("the point can be read: %v", err)
	}
	if err := collect.Readable(t.Context(), r.Repository, whole.ID); err != nil {
		t.Errorf("the other point: %v", err)
	}
	if err := r.Quarantine(t.Context(), lost.ID, "lost with disk 7"); err != nil {
		t.Fatal(err)
	}
	rep, err := c.Collect(t.Context())
	if err != nil || rep.Condemned.Points != 0 || rep.Condemned.Packs == 0 || !slices.ContainsFunc(rep.Kept, func(k collect.KeptPoint) bool { return k.Point == lost.ID }) {
		t.Errorf("%+v, %v", rep, err)
	}
	if err := collect.Readable(t.Context(), r.Repository, whole.ID); err != nil {
		t.Errorf("the other point: %v", err)
	}
	if _, _, err := r.ReadPoint(t.Context(), lost.ID); err != nil {
		t.Errorf("the quarantined point itself: %v", err)
	}
	if err := r.LiftQuarantine(t.Context(), lost.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Collect(t.Context()); err == nil {
		t.Error("once it is lifted the point stops nothing")
	}
	if err := r.LiftQuarantine(t.Context(), lost.ID); ivd.KindOf(err) != ivd.Unmet {
		t.Errorf("lifted twice: %v", err)
	}
}

// A pin whose signature does not hold has no effect, which a collection tells.
func TestForgedMarksAreTold(t *testing.T) {
	r := repotest.Sealed(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: 4 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	p := r.Save(d, repotest.Layout{})
	if err := r.Pin(t.Context(), p.ID, "a test"); err != nil {
		t.Fatal(err)
	}
	o, err := r.Clock.Get(t.Context(), store.Name("pins/"+p.ID), format.MaxRecord)
	if err == nil {
		o.Body[len(o.Body)-1] ^= 1
		err = r.Clock.Put(t.Context(), o.Name, o.Body)
	}
	if err != nil {
		t.Fatal(err)
	}
	rep, err := collect.New(r.Repository, collect.Options{MaxShare: 1}).Collect(t.Context())
	if err != nil || len(rep.Ignored) != 1 || !strings.Contains(rep.Ignored[0], string(o.Name)) {
		t.Errorf("%v, %v", rep.Ignored, err)
	}
}
