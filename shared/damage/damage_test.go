package damage_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"ivdmover/shared/damage"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store/faults"
)

var geometry = ivd.Geometry{Capacity: 2*ivd.ChunksPerSpan*ivd.MinChunkSize + 1000, ChunkSize: ivd.MinChunkSize}

const cs = ivd.MinChunkSize

// plant stores a disk whose chunks 5, 6 and 9 lie in one data pack, and the first of
// its second span in another; the spans' nodes lie in an index pack each.
func plant(t *testing.T, r *repotest.Repository) (p repotest.Point, data [2]ivd.PackID) {
	t.Helper()
	d := repotest.NewDisk(geometry)
	for i, chunk := range []int64{5, 6, 9, ivd.ChunksPerSpan} {
		if _, err := d.WriteAt([]byte{byte(i + 1)}, chunk*cs); err != nil {
			t.Fatal(err)
		}
	}
	p = r.Save(d, repotest.Layout{ChunksPerPack: 3, NodesPerPack: 1})
	return p, [2]ivd.PackID{r.Place(d, 5).Pack, r.Place(d, ivd.ChunksPerSpan).Pack}
}

func of(packs ...ivd.PackID) func(ivd.PackID) bool {
	return func(id ivd.PackID) bool { return slices.Contains(packs, id) }
}

// What is lost is what cannot be read: not more, and whatever else the pack held.
func TestOf(t *testing.T) {
	r := repotest.New(t)
	p, data := plant(t, r)
	whole := func(span ivd.SpanIndex) ivd.Extent { return geometry.Span(span) }
	at := func(chunk, n int64) ivd.Extent { return ivd.Extent{Offset: chunk * cs, Length: n * cs} }
	look := func(bad func(ivd.PackID) bool, want []ivd.Extent, packs ...ivd.PackID) {
		t.Helper()
		got, err := damage.Of(t.Context(), r.Repository, p.Point, bad)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Ranges, want) || !slices.Equal(got.Packs, packs) {
			t.Errorf("lost %v in %v, want %v in %v", got.Ranges, got.Packs, want, packs)
		}
	}
	look(of(), nil)
	look(of(data[0]), nil) // it is called bad, and all of it can be read
	place := r.Place(p.Disk, 6)
	r.Damage(format.DataPack, data[0], place.Offset+60)
	look(of(data[0]), []ivd.Extent{at(6, 1)}, data[0])
	look(of(data[1]), nil)
	r.Delete(format.DataPack, data[0])
	asked := r.Store.Calls(faults.ReadAt)
	look(of(data[0]), []ivd.Extent{at(5, 2), at(9, 1)}, data[0])
	if n := r.Store.Calls(faults.ReadAt) - asked; n != 3 { // the page, a node, and once for the pack
		t.Errorf("%d reads", n)
	}
	node := p.Nodes[1].Place
	r.Damage(format.IndexPack, node.Pack, node.Offset+60)
	look(of(data[0], node.Pack), []ivd.Extent{at(5, 2), at(9, 1), whole(1)}, damage.Sorted([]ivd.PackID{data[0], node.Pack})...)
	home := p.Pages[0].Place
	r.Damage(format.IndexPack, home.Pack, home.Offset+60)
	look(of(), []ivd.Extent{{Length: geometry.Capacity}}, home.Pack)
	r.Store.Add(faults.Fault{On: faults.ReadAt, Before: faults.ErrInjected})
	if _, err := damage.Of(t.Context(), r.Repository, p.Point, of()); ivd.KindOf(err) != ivd.Transient {
		t.Errorf("an outage: %v", err)
	}
}

func TestLossInWords(t *testing.T) {
	var l damage.Loss
	for i := range int64(10) {
		l.Ranges = append(l.Ranges, ivd.Extent{Offset: i * 100, Length: 10})
	}
	if s := l.String(); !strings.HasPrefix(s, "0 to 10, 100 to 110, ") || !strings.HasSuffix(s, "700 to 710 and 2 more") || l.Bytes() != 100 {
		t.Errorf("%q, %d bytes", s, l.Bytes())
	}
}

func TestNeeds(t *testing.T) {
	r := repotest.New(t)
	p, data := plant(t, r)
	home := p.Pages[0].Place.Pack
	got, err := damage.Needs(t.Context(), r.Repository, p.Pages[0], geometry, of(data[1], home, ivd.PackID{1}))
	if want := damage.Sorted([]ivd.PackID{data[1], home}); err != nil || !slices.Equal(got, want) {
		t.Errorf("needs %v, want %v: %v", got, want, err)
	}
}

// What somebody calls damaged is read before it is believed, and retired once.
func TestRetire(t *testing.T) {
	r := repotest.New(t)
	p, data := plant(t, r)
	home := p.Pages[0].Place.Pack
	gone := ivd.PackID{7}
	r.Damage(format.DataPack, data[0], 100)
	found := []ivd.Damage{{Pack: data[0], Why: "x"}, {Pack: data[1], Why: "x"}, {Pack: home, Index: true, Why: "x"}, {Pack: gone, Why: "x"}}
	c, err := damage.Retire(t.Context(), r.Repository, "mover one", found)
	if err != nil || len(c.Damaged) != 2 || c.Damaged[0].Pack != data[0] || c.Damaged[1].Pack != gone || !slices.Equal(c.Whole, []ivd.PackID{data[1], home}) {
		t.Fatalf("%+v, %v", c, err)
	}
	retired := func() *repo.Retired {
		t.Helper()
		x, err := r.Retired(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	x := retired()
	if got, want := x.Packs(), damage.Sorted([]ivd.PackID{data[0], gone}); !slices.Equal(got, want) {
		t.Errorf("retired %v, want %v", got, want)
	}
	why, since := x.Reason(gone)
	if !strings.Contains(why, "found by mover one: ") || !strings.Contains(why, gone.String()+" is missing") || since.IsZero() {
		t.Errorf("since %s: %q", since, why)
	}
	// Again: nothing is stored.
	puts := r.Store.Calls(faults.Put)
	if c, err := damage.Retire(t.Context(), r.Repository, "mover two", found[:1]); err != nil || len(c.Damaged) != 1 || r.Store.Calls(faults.Put) != puts {
		t.Errorf("again: %+v, %v, %d puts", c, err, r.Store.Calls(faults.Put)-puts)
	}
	// A mistake is lifted, in whichever second, and so is that.
	for range 2 {
		if err := r.Unretire(t.Context(), "it is whole", []ivd.PackID{gone}); err != nil || retired().Pack(gone) || !retired().Pack(data[0]) {
			t.Errorf("lifted: %t, %v", !retired().Pack(gone), err)
		}
		if err := r.Repository.Retire(t.Context(), "it is not", []ivd.PackID{gone}); err != nil || !retired().Pack(gone) {
			t.Errorf("retired again: %t, %v", retired().Pack(gone), err)
		}
	}
	// An outage retires nothing, and what cannot be stored is told.
	r.Store.Add(faults.Fault{On: faults.Stat, Before: faults.ErrInjected})
	if _, err := damage.Retire(t.Context(), r.Repository, "x", []ivd.Damage{{Pack: ivd.PackID{8}}}); ivd.KindOf(err) != ivd.Transient || retired().Pack(ivd.PackID{8}) {
		t.Errorf("an outage: %v", err)
	}
	r.Store.Add(faults.Fault{On: faults.Put, Prefix: "retired/", Before: faults.ErrInjected})
	if c, err := damage.Retire(t.Context(), r.Repository, "x", []ivd.Damage{{Pack: ivd.PackID{8}}}); err == nil || len(c.Damaged) != 1 {
		t.Errorf("not stored: %+v, %v", c, err)
	}
}

// Only what is whole is lifted.
func TestLift(t *testing.T) {
	r := repotest.New(t)
	p, data := plant(t, r)
	home := p.Pages[0].Place.Pack
	packs := []ivd.PackID{data[0], home}
	lift := func() (still []ivd.PackID, err error) {
		t.Helper()
		err = damage.Lift(t.Context(), r.Repository, "put back", packs)
		x, readErr := r.Retired(t.Context())
		if readErr != nil {
			t.Fatal(readErr)
		}
		return x.Packs(), err
	}
	if err := r.Repository.Retire(t.Context(), "a mistake", packs); err != nil {
		t.Fatal(err)
	}
	r.Damage(format.IndexPack, home, 100)
	if still, err := lift(); ivd.KindOf(err) != ivd.Corrupt || !strings.Contains(err.Error(), home.String()) || len(still) != 2 {
		t.Errorf("one is damaged: %v are retired, %v", still, err)
	}
	r.Damage(format.IndexPack, home, 100) // flips it back
	if still, err := lift(); err != nil || len(still) != 0 {
		t.Errorf("both are whole: %v are retired, %v", still, err)
	}
}

// A pack is checked piece by piece, whatever it says of itself.
func TestCheckPack(t *testing.T) {
	r := repotest.New(t)
	_, data := plant(t, r)
	name := r.PackName(format.DataPack, data[0])
	o, err := r.Clock.Get(t.Context(), name, format.MaxPackSize)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		says string
		body []byte
	}{
		{"", o.Body},
		{"has other content", change(o.Body, 9, 2)}, // a version that is not known: it is named as a pack of version 1
		{"has other content", change(o.Body, 200, 0x40)},
		{"is not as long as it was stored", o.Body[:len(o.Body)-1]},
		{"is cut off: 0 bytes", nil},
		{"is not as long as it was stored", make([]byte, len(o.Body))},
	} {
		if err := r.Clock.Put(t.Context(), name, c.body); err != nil {
			t.Fatal(err)
		}
		d, err := r.CheckPack(t.Context(), format.DataPack, data[0], nil)
		if err != nil || (d == nil) != (c.says == "") || d != nil && (!strings.Contains(d.Why, c.says) || d.Pack != data[0] || d.Index) {
			t.Errorf("want %q: %+v, %v", c.says, d, err)
		}
	}
}

func change(b []byte, at int, by byte) []byte {
	c := slices.Clone(b)
	c[at] ^= by
	return c
}
