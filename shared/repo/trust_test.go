package repo_test

import (
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

func TestTrusted(t *testing.T) {
	b, r := made(t)
	x := plant(t, r, writerOf(t, r))
	condemned, retired, gone := ivd.PackID{1}, ivd.PackID{2}, ivd.PackID{3}
	condemn(t, b, r, "one", []ivd.PackID{condemned})
	retire(t, b, r, retired)
	w := writerOf(t, r)
	trusted := func(pack ivd.PackID, ago time.Duration) bool {
		t.Helper()
		ok, err := w.Trusted(t.Context(), pack, b.now().Add(-ago))
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	b.forget()
	day := 24 * time.Hour
	if trusted(condemned, 0) || trusted(retired, 0) {
		t.Error("a pack that is on a list is trusted")
	}
	if !trusted(gone, 6*day+23*time.Hour) {
		t.Error("a pack that was there less than 7 days ago, and is on no list, is not trusted")
	}
	if did := b.did(); len(did) != 0 {
		t.Errorf("the store was asked without need: %q", did)
	}
	// What is known for longer is asked for, once.
	for range 2 {
		if !trusted(x.data[0], 8*day) || !trusted(x.home, 7*day+time.Minute) {
			t.Error("a pack that is there is not trusted")
		}
		if trusted(gone, 8*day) {
			t.Error("a pack that is gone is trusted")
		}
	}
	stats := 0
	for _, op := range b.did() {
		if op[:5] == "stat " {
			stats++
		}
	}
	if want := 1 + 2 + 2; stats != want { // a data pack; an index pack, asked for as both; one that is neither
		t.Errorf("the store was asked %d times, want %d: %q", stats, want, b.did())
	}
	// An outage is no absence.
	b.fail("stat", "index/")
	_, err := w.Trusted(t.Context(), ivd.PackID{9}, b.now().Add(-8*day))
	wantKind(t, err, ivd.Transient, "index/")
	b.heal()
	if _, err := w.Trusted(t.Context(), x.nodes[0], b.now().Add(-8*day)); err != nil {
		t.Fatal(err)
	}
}

// W4: of the parent's page, a span is taken over only if all that it needs stands.
func TestParentPage(t *testing.T) {
	for name, c := range map[string]struct {
		list  func(x tree) ivd.PackID
		take  [4]bool
		whole bool
	}{
		"nothing listed":            {func(tree) ivd.PackID { return ivd.PackID{1} }, [4]bool{true, true, true, true}, true},
		"a data pack":               {func(x tree) ivd.PackID { return x.data[0] }, [4]bool{false, true, false, true}, false},
		"another data pack":         {func(x tree) ivd.PackID { return x.data[1] }, [4]bool{true, false, false, true}, false},
		"the nodes' index pack":     {func(x tree) ivd.PackID { return x.nodes[0] }, [4]bool{false, false, true, true}, false},
		"a node's index pack":       {func(x tree) ivd.PackID { return x.nodes[1] }, [4]bool{true, true, false, true}, false},
		"the page's own index pack": {func(x tree) ivd.PackID { return x.home }, [4]bool{true, true, true, true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for how, list := range map[string]func(*bucket, *repo.Repository, ivd.PackID){
				"condemned": func(b *bucket, r *repo.Repository, p ivd.PackID) { condemn(t, b, r, "one", []ivd.PackID{p}) },
				"retired":   func(b *bucket, r *repo.Repository, p ivd.PackID) { retire(t, b, r, p) },
				"gone for 8 days": func(b *bucket, r *repo.Repository, p ivd.PackID) {
					b.pass(8 * 24 * time.Hour)
					// The page's own pack is read before it is judged, so it stays.
					delete(b.objects, r.PackName(format.DataPack, p))
					if o := r.PackName(format.IndexPack, p); o != "" && name != "the page's own index pack" {
						delete(b.objects, o)
					}
				},
			} {
				b, r := made(t)
				x := plant(t, r, writerOf(t, r))
				_, info, err := r.ReadPoint(t.Context(), x.point.ID)
				if err != nil {
					t.Fatal(err)
				}
				list(b, r, c.list(x))
				w := writerOf(t, r)
				p, err := w.ParentPage(t.Context(), x.point.Pages[0], info.Committed, geometry, geometry)
				if err != nil {
					t.Fatal(err)
				}
				for span, want := range c.take {
					if got := p.Takeable(ivd.SpanIndex(span)); got != want {
						t.Errorf("%s: span %d takeable: %t, want %t", how, span, got, want)
					}
				}
				if how == "gone for 8 days" && c.list(x) == x.home {
					continue
				}
				if ref, whole := p.Whole(); whole != c.whole || ref != x.point.Pages[0] {
					t.Errorf("%s: the page is whole: %t, want %t", how, whole, c.whole)
				}
			}
		})
	}
}

// A disk that has grown takes over what is as it was; its last span is not.
func TestParentPageGrown(t *testing.T) {
	b, r := made(t)
	x := plant(t, r, writerOf(t, r))
	w := writerOf(t, r)
	ask := func(child ivd.Geometry) *repo.ParentPage {
		p, err := w.ParentPage(t.Context(), x.point.Pages[0], b.now(), geometry, child)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	grown := geometry
	grown.Capacity *= 2
	p := ask(grown)
	if _, whole := p.Whole(); whole || !p.Takeable(2) || p.Takeable(3) || p.Takeable(4) || p.Takeable(-1) {
		t.Error("of a disk that has grown")
	}
	shrunk := geometry
	shrunk.Capacity = geometry.SpanSize()
	p = ask(shrunk)
	if _, whole := p.Whole(); whole || !p.Takeable(0) || p.Takeable(1) || p.Takeable(3) {
		t.Error("of a disk that has shrunk")
	}
	cut := geometry
	cut.ChunkSize *= 2
	_, err := w.ParentPage(t.Context(), x.point.Pages[0], b.now(), geometry, cut)
	wantKind(t, err, ivd.Invalid)
	delete(b.objects, r.PackName(format.IndexPack, x.home))
	_, err = w.ParentPage(t.Context(), x.point.Pages[0], b.now(), geometry, geometry)
	wantKind(t, err, ivd.NotFound, x.home.String())
	b.fail("read", "index/")
	_, err = w.ParentPage(t.Context(), x.point.Pages[0], b.now(), geometry, geometry)
	wantKind(t, err, ivd.Transient)
}
