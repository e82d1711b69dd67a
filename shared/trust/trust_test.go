package trust_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store/faults"
	"ivdmover/shared/trust"
)

const day = 24 * time.Hour

func open(t *testing.T, r *repotest.Repository) *trust.Trust {
	t.Helper()
	x, err := trust.Open(t.Context(), r.Repository, r.Lease(repo.WriteLease).ID, trust.Recheck)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func wantKind(t *testing.T, err error, want ivd.Kind) {
	t.Helper()
	if err == nil || ivd.KindOf(err) != want {
		t.Fatalf("error of kind %q, want %q: %v", ivd.KindOf(err), want, err)
	}
}

// tree is a point with two chunks, in a data pack each: the first in span 0, the
// second in span 1, both again in span 2; span 3 is zeros. The nodes of spans 0 and 1
// share an index pack.
type tree struct {
	repotest.Point
	data  [2]ivd.PackID
	nodes [2]ivd.PackID // of spans 0 and 1; of span 2
	home  ivd.PackID    // of the page
}

var geometry = ivd.Geometry{Capacity: 3*ivd.ChunksPerSpan*ivd.MinChunkSize + 1000, ChunkSize: ivd.MinChunkSize}

func plant(t *testing.T, r *repotest.Repository) tree {
	t.Helper()
	d := repotest.NewDisk(geometry)
	put := func(span, chunk int64, b byte) {
		if _, err := d.WriteAt([]byte{b}, span*geometry.SpanSize()+chunk*geometry.ChunkSize); err != nil {
			t.Fatal(err)
		}
	}
	put(0, 5, 1)
	put(1, 7, 2)
	put(2, 1, 1)
	put(2, 2, 2)
	p := r.Save(d, repotest.Layout{ChunksPerPack: 1, NodesPerPack: 2})
	return tree{
		Point: p,
		data:  [2]ivd.PackID{r.Place(d, 5).Pack, r.Place(d, ivd.ChunksPerSpan+7).Pack},
		nodes: [2]ivd.PackID{p.Nodes[0].Place.Pack, p.Nodes[2].Place.Pack},
		home:  p.Pages[0].Place.Pack,
	}
}

func TestOpenRefuses(t *testing.T) {
	r := repotest.New(t)
	_, err := trust.Open(t.Context(), r.Repository, "none", trust.Recheck)
	wantKind(t, err, ivd.Expired)
	l := r.Lease(repo.WriteLease)
	r.Store.Add(faults.Fault{On: faults.List, Prefix: "collect/", Before: faults.ErrInjected})
	_, err = trust.Open(t.Context(), r.Repository, l.ID, trust.Recheck)
	wantKind(t, err, ivd.Transient)
	x, err := trust.Open(t.Context(), r.Repository, l.ID, trust.Recheck)
	if err != nil || x.Lease().ID != l.ID || !x.Lease().Deadline.Equal(l.Deadline) {
		t.Fatalf("lease %+v: %v", x, err)
	}
}

func TestPack(t *testing.T) {
	r := repotest.New(t)
	p := plant(t, r)
	condemned, retired, gone := ivd.PackID{1}, ivd.PackID{2}, ivd.PackID{3}
	r.Condemn([]ivd.PackID{condemned})
	r.Retire(retired)
	x := open(t, r)
	before := r.Store.Calls(faults.Stat)
	trusted := func(pack ivd.PackID, ago time.Duration) bool {
		t.Helper()
		kind := format.DataPack
		if pack == p.home || pack == p.nodes[0] || pack == (ivd.PackID{9}) {
			kind = format.IndexPack
		}
		ok, err := x.Pack(t.Context(), kind, pack, r.Now().Add(-ago))
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if trusted(condemned, 0) || trusted(retired, 0) || trusted(condemned, 8*day) || trusted(retired, 8*day) {
		t.Error("a pack that is on a list is trusted")
	}
	if !trusted(gone, 6*day+23*time.Hour) {
		t.Error("a pack that was there less than 7 days ago, and is on no list, is not trusted")
	}
	if n := r.Store.Calls(faults.Stat) - before; n != 0 {
		t.Errorf("the store was asked %d times without need", n)
	}
	if trusted(ivd.PackID{4}, 7*day) {
		t.Error("a pack that is known to have been there for no less than 7 days is trusted unasked")
	}
	asked := r.Store.Calls(faults.Stat)
	// What is known for longer is asked for, once.
	for range 2 {
		if !trusted(p.data[0], 8*day) || !trusted(p.home, 7*day+time.Minute) {
			t.Error("a pack that is there is not trusted")
		}
		if trusted(gone, 8*day) {
			t.Error("a pack that is gone is trusted")
		}
	}
	if n, want := r.Store.Calls(faults.Stat)-asked, 3; n != want {
		t.Errorf("the store was asked %d times, want %d", n, want)
	}
	// An outage is no absence, and is not kept in mind as one.
	r.Store.Add(faults.Fault{On: faults.Stat, Prefix: "index/", Before: faults.ErrInjected})
	_, err := x.Pack(t.Context(), format.IndexPack, ivd.PackID{9}, r.Now().Add(-8*day))
	wantKind(t, err, ivd.Transient)
	if trusted(ivd.PackID{9}, 8*day) || !trusted(p.nodes[0], 8*day) {
		t.Error("after an outage")
	}
	// Of many, those are told that must not be named.
	many := map[ivd.PackID]format.PackKind{p.data[0]: format.DataPack, retired: format.DataPack, gone: format.DataPack, p.home: format.IndexPack}
	if bad, err := x.Packs(t.Context(), many, time.Time{}); err != nil || !slices.Equal(bad, []ivd.PackID{retired, gone}) {
		t.Errorf("of many: %v, %v", bad, err)
	}
	// What is condemned after the lists were read is not seen: the lease protects it.
	r.Condemn([]ivd.PackID{p.data[1]})
	if !trusted(p.data[1], 0) {
		t.Error("the lists were read anew")
	}
}

// W4: of the parent's page, a span is taken over only if all that it needs stands.
func TestParentPage(t *testing.T) {
	for name, c := range map[string]struct {
		list  func(tree) ivd.PackID
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
		for how, list := range map[string]func(*repotest.Repository, tree, ivd.PackID){
			"condemned": func(r *repotest.Repository, _ tree, p ivd.PackID) { r.Condemn([]ivd.PackID{p}) },
			"retired":   func(r *repotest.Repository, _ tree, p ivd.PackID) { r.Retire(p) },
			"gone for 8 days": func(r *repotest.Repository, x tree, p ivd.PackID) {
				r.Pass(8 * day)
				if p == x.home {
					return // it is read before it is judged
				}
				r.Delete(format.DataPack, p)
				r.Delete(format.IndexPack, p)
			},
		} {
			t.Run(name+" is "+how, func(t *testing.T) {
				r := repotest.New(t)
				x := plant(t, r)
				committed := r.Now()
				list(r, x, c.list(x))
				p, err := open(t, r).ParentPage(t.Context(), x.Pages[0], trust.Taking{SealedAt: committed, Parent: geometry, Child: geometry})
				if err != nil {
					t.Fatal(err)
				}
				for span, want := range c.take {
					if got := p.Takeable(ivd.SpanIndex(span)); got != want {
						t.Errorf("span %d takeable: %t, want %t", span, got, want)
					}
				}
				whole := c.whole || how == "gone for 8 days" && c.list(x) == x.home
				if ref, got := p.Whole(); got != whole || ref != x.Pages[0] {
					t.Errorf("the page is whole: %t, want %t", got, whole)
				}
			})
		}
	}
}

// A disk that has grown takes over what is as it was; its last span is not.
func TestParentPageGrown(t *testing.T) {
	r := repotest.New(t)
	x := plant(t, r)
	w := open(t, r)
	ask := func(child ivd.Geometry) *trust.ParentPage {
		p, err := w.ParentPage(t.Context(), x.Pages[0], trust.Taking{SealedAt: r.Now(), Parent: geometry, Child: child})
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
	_, err := w.ParentPage(t.Context(), x.Pages[0], trust.Taking{SealedAt: r.Now(), Parent: geometry, Child: cut})
	wantKind(t, err, ivd.Invalid)
	r.Store.Add(faults.Fault{On: faults.ReadAt, Prefix: "index/", Before: faults.ErrInjected})
	_, err = w.ParentPage(t.Context(), x.Pages[0], trust.Taking{SealedAt: r.Now(), Parent: geometry, Child: geometry})
	wantKind(t, err, ivd.Transient)
	r.Damage(format.IndexPack, x.home, x.Pages[0].Place.Offset+60)
	_, err = w.ParentPage(t.Context(), x.Pages[0], trust.Taking{SealedAt: r.Now(), Parent: geometry, Child: geometry})
	wantKind(t, err, ivd.Corrupt)
	wantRemedy(t, err)
	r.Delete(format.IndexPack, x.home)
	_, err = w.ParentPage(t.Context(), x.Pages[0], trust.Taking{SealedAt: r.Now(), Parent: geometry, Child: geometry})
	wantKind(t, err, ivd.NotFound)
	wantRemedy(t, err)
}

func wantRemedy(t *testing.T, err error) {
	t.Helper()
	if !strings.Contains(ivd.RemedyOf(err), "--full") {
		t.Errorf("%v has no remedy", err)
	}
}

// A page answers for its own spans only.
//
// Mutants that live: of ParentPage the bounds of the child's pages and spans, since
// what is just beyond them has no length and so is like nothing of the parent's; of
// Pack the bound of seven days by one nanosecond of a clock that does not stand still.
func TestParentPages(t *testing.T) {
	r := repotest.New(t)
	g := ivd.Geometry{Capacity: (ivd.SpansPerPage + 2) * ivd.ChunksPerSpan * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize}
	d := repotest.NewDisk(g)
	for _, span := range []int64{0, ivd.SpansPerPage - 1, ivd.SpansPerPage, ivd.SpansPerPage + 1} {
		if _, err := d.WriteAt([]byte{1}, span*g.SpanSize()); err != nil {
			t.Fatal(err)
		}
	}
	x := r.Save(d, repotest.Layout{})
	w := open(t, r)
	for n, want := range map[int][2]ivd.SpanIndex{0: {0, ivd.SpansPerPage}, 1: {ivd.SpansPerPage, ivd.SpansPerPage + 2}} {
		p, err := w.ParentPage(t.Context(), x.Pages[n], trust.Taking{SealedAt: r.Now(), Parent: g, Child: g})
		if err != nil {
			t.Fatal(err)
		}
		if ref, whole := p.Whole(); !whole || ref != x.Pages[n] {
			t.Errorf("page %d is not whole", n)
		}
		for _, span := range []ivd.SpanIndex{0, ivd.SpansPerPage - 1, ivd.SpansPerPage, ivd.SpansPerPage + 1, ivd.SpansPerPage + 2} {
			if got := p.Takeable(span); got != (span >= want[0] && span < want[1]) {
				t.Errorf("of page %d, span %d is takeable: %t", n, span, got)
			}
		}
	}
}
