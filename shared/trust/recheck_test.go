package trust_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"testing/quick"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store/faults"
	"ivdmover/shared/trust"
)

// taking is what a child takes from its parent just now, and builds on these spans.
func taking(r *repotest.Repository, spans ...ivd.SpanIndex) trust.Taking {
	return trust.Taking{
		SealedAt: r.Now(), Begun: r.Now(), Parent: geometry, Child: geometry,
		Builds: func(s ivd.SpanIndex) bool { return slices.Contains(spans, s) },
	}
}

// change replaces a pack's object.
func change(t *testing.T, r *repotest.Repository, kind format.PackKind, pack ivd.PackID, to func([]byte) []byte) {
	t.Helper()
	name := r.PackName(kind, pack)
	o, err := r.Clock.Get(t.Context(), name, format.MaxPackSize)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Clock.Put(t.Context(), name, to(bytes.Clone(o.Body))); err != nil {
		t.Fatal(err)
	}
}

// What a span is built on that is read is asked for, however lately it was known:
// packs that are not there, or not in their length, are not trusted, and told of.
func TestBuiltOnIsAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(*testing.T, *repotest.Repository, tree)
		pack   func(tree) ivd.PackID
	}{
		"a data pack is gone": {
			func(_ *testing.T, r *repotest.Repository, x tree) { r.Delete(format.DataPack, x.data[0]) },
			func(x tree) ivd.PackID { return x.data[0] },
		},
		"a data pack is cut off": {
			func(t *testing.T, r *repotest.Repository, x tree) {
				change(t, r, format.DataPack, x.data[0], func(b []byte) []byte { return b[:len(b)-1] })
			},
			func(x tree) ivd.PackID { return x.data[0] },
		},
		"a data pack is empty": {
			func(t *testing.T, r *repotest.Repository, x tree) {
				change(t, r, format.DataPack, x.data[0], func([]byte) []byte { return nil })
			},
			func(x tree) ivd.PackID { return x.data[0] },
		},
		"a data pack is longer": {
			func(t *testing.T, r *repotest.Repository, x tree) {
				change(t, r, format.DataPack, x.data[0], func(b []byte) []byte { return append(b, 0) })
			},
			func(x tree) ivd.PackID { return x.data[0] },
		},
		"an index pack is gone": {
			func(_ *testing.T, r *repotest.Repository, x tree) { r.Delete(format.IndexPack, x.nodes[0]) },
			func(x tree) ivd.PackID { return x.nodes[0] },
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := repotest.New(t)
			x := plant(t, r)
			c.damage(t, r, x)
			w := open(t, r).ForJob()
			p, err := w.ParentPage(t.Context(), x.Pages[0], taking(r))
			if err != nil {
				t.Fatal(err)
			}
			if requests, found := w.Account(); !p.Takeable(0) || requests.All != 0 || found != nil {
				t.Errorf("nothing is built on: span 0 takeable %t, %+v requests, found %v", p.Takeable(0), requests, found)
			}
			p, err = w.ParentPage(t.Context(), x.Pages[0], taking(r, 0))
			if err != nil {
				t.Fatal(err)
			}
			bad := c.pack(x)
			requests, found := w.Account()
			if p.Takeable(0) || p.Trusted(bad) || len(found) != 1 || found[0].Pack != bad || found[0].Index != (bad == x.nodes[0]) || found[0].Why == "" {
				t.Errorf("span 0 takeable %t, the pack trusted %t, found %v", p.Takeable(0), p.Trusted(bad), found)
			}
			if _, whole := p.Whole(); whole {
				t.Error("the page is whole")
			}
			// Two packs, each by one request where it is not there, else by two.
			if requests.All < 3 || requests.All > 4 {
				t.Errorf("%+v", requests)
			}
			// Span 2 lies in the same data pack, and in an index pack of its own: what is
			// known of a pack is known of all that lies in it. Others are not asked.
			if bad == x.data[0] && p.Takeable(2) || !p.Takeable(3) || !p.Trusted(x.data[1]) {
				t.Error("of the other spans")
			}
			// What is known is not asked again; another job is told all the same.
			other := w.ForJob()
			if _, err := other.ParentPage(t.Context(), x.Pages[0], taking(r, 0)); err != nil {
				t.Fatal(err)
			}
			if requests, found := other.Account(); requests.All != 0 || len(found) != 1 {
				t.Errorf("another job: %+v requests, found %v", requests, found)
			}
			if requests, found := w.Account(); requests.All != 0 || found != nil {
				t.Errorf("told twice: %+v, %v", requests, found)
			}
		})
	}
}

// An end that is not understood is no damage, and an outage no answer.
func TestUnknownEndIsNoDamage(t *testing.T) {
	r := repotest.New(t)
	x := plant(t, r)
	change(t, r, format.DataPack, x.data[0], func(b []byte) []byte {
		b[len(b)-28] = 2 // the trailer's version
		return b
	})
	w := open(t, r)
	r.Store.Add(faults.Fault{On: faults.Stat, Prefix: "data/", Before: faults.ErrInjected})
	_, err := w.ParentPage(t.Context(), x.Pages[0], taking(r, 0))
	wantKind(t, err, ivd.Transient)
	r.Store.Add(faults.Fault{On: faults.ReadAt, Prefix: "data/", Before: faults.ErrInjected})
	_, err = w.ParentPage(t.Context(), x.Pages[0], taking(r, 0))
	wantKind(t, err, ivd.Transient)
	w.Account()
	p, err := w.ParentPage(t.Context(), x.Pages[0], taking(r, 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, found := w.Account(); !p.Takeable(0) || found != nil {
		t.Errorf("span 0 takeable %t, found %v", p.Takeable(0), found)
	}
}

// What is taken over unseen is asked for within the time that is set, by whichever
// backup comes after its turn.
func TestEachPackHasItsTurn(t *testing.T) {
	r := repotest.New(t)
	x := plant(t, r)
	r.Delete(format.DataPack, x.data[0])
	begun := r.Now()
	turns := 0
	for range 8 {
		r.Pass(24 * time.Hour)
		w := open(t, r)
		k := taking(r)
		k.SealedAt, k.Begun = begun, begun
		p, err := w.ParentPage(t.Context(), x.Pages[0], k)
		if err != nil {
			t.Fatal(err)
		}
		if !p.Takeable(0) {
			turns++
		}
		begun = r.Now()
	}
	if turns < 1 || turns > 2 {
		t.Errorf("a pack had %d turns in 8 days", turns)
	}
	// With 0, each backup asks for all.
	w, err := trust.Open(t.Context(), r.Repository, r.Lease("write").ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := w.ParentPage(t.Context(), x.Pages[0], taking(r)); err != nil || p.Takeable(0) || !p.Takeable(1) {
		t.Errorf("asked for all: %v", err)
	}
}

// Whatever the moments of a chain's backups: each pack is asked for at least once in
// a period, and no more than once and a bit.
func TestTurnsOfAPeriod(t *testing.T) {
	const period = 7 * 24 * time.Hour
	turns := func(seed uint64, steps []uint16) bool {
		var id ivd.PackID
		binary.BigEndian.PutUint64(id[:], seed)
		at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
		last, n, begun := at, 0, at
		for _, s := range steps {
			next := at.Add(time.Duration(s%2880) * time.Minute) // up to two days later
			if trust.Due(id, at, next, period) {
				n, last = n+1, next
			} else if next.Sub(last) > period+48*time.Hour {
				return false
			}
			at = next
		}
		return n <= int(at.Sub(begun)/period)+1
	}
	if err := quick.Check(turns, nil); err != nil {
		t.Error(err)
	}
}

// A pack of which something was read wrongly is told of only where it is damaged when
// it is read again, whole.
func TestSuspect(t *testing.T) {
	r := repotest.New(t)
	x := plant(t, r)
	w := open(t, r).ForJob()
	ticks := 0
	if err := w.Suspect(t.Context(), format.IndexPack, x.home, func() { ticks++ }); err != nil || ticks == 0 {
		t.Fatalf("%v, %d ticks", err, ticks)
	}
	if _, found := w.Account(); found != nil {
		t.Errorf("a whole pack is told of: %v", found)
	}
	r.Damage(format.IndexPack, x.home, 100)
	if err := w.Suspect(t.Context(), format.IndexPack, x.home, nil); err != nil {
		t.Fatal(err)
	}
	if _, found := w.Account(); len(found) != 1 || found[0].Pack != x.home || !found[0].Index {
		t.Errorf("found %v", found)
	}
	if ok, err := w.Pack(t.Context(), format.IndexPack, x.home, time.Time{}); err != nil || ok {
		t.Errorf("it is trusted: %t, %v", ok, err)
	}
	r.Store.Add(faults.Fault{On: faults.ReadAt, Prefix: "index/", Before: faults.ErrInjected})
	wantKind(t, w.Suspect(t.Context(), format.IndexPack, x.nodes[0], nil), ivd.Transient)
}

// What is retired while a run is under way is not built on by what begins after the
// lists were read anew.
func TestRefresh(t *testing.T) {
	r := repotest.New(t)
	x := plant(t, r)
	w := open(t, r)
	r.Retire(x.data[0])
	for _, later := range []time.Duration{0, time.Hour} {
		w.Later(later)
		lists := r.Store.Calls(faults.List)
		if err := w.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := r.Store.Calls(faults.List) - lists; (n > 0) != (later > 0) || n > 2 {
			t.Errorf("%s later: %d lists", later, n)
		}
		if ok, err := w.Pack(t.Context(), format.DataPack, x.data[0], r.Now()); err != nil || ok != (later == 0) || w.Retired(x.data[0]) == ok {
			t.Errorf("%s later: trusted %t, %v", later, ok, err)
		}
	}
}

// Where a listing is cheaper than to ask for each of the packs, they are listed, and what
// is found is the same, also where the listing fails.
func TestManyAreListed(t *testing.T) {
	for name, fault := range map[string]*faults.Fault{
		"listed":                   nil,
		"the listing fails":        {On: faults.List, Prefix: "data/", Before: faults.ErrInjected},
		"the listing is cut short": {On: faults.List, Prefix: "data/", After: faults.ErrInjected},
	} {
		t.Run(name, func(t *testing.T) {
			r := repotest.New(t)
			r.Store.ListPage = 1000
			d := repotest.NewDisk(geometry)
			for i := range int64(20) {
				if _, err := d.WriteAt([]byte{byte(i + 1)}, i*geometry.ChunkSize); err != nil {
					t.Fatal(err)
				}
			}
			x := r.Save(d, repotest.Layout{ChunksPerPack: 1, Alike: true})
			gone, short := r.Place(d, 3).Pack, r.Place(d, 7).Pack
			r.Delete(format.DataPack, gone)
			change(t, r, format.DataPack, short, func(b []byte) []byte { return b[:len(b)-1] })
			w := open(t, r)
			if fault != nil {
				r.Store.Add(*fault)
			}
			lists, stats := r.Store.Calls(faults.List), r.Store.Calls(faults.Stat)
			p, err := w.ParentPage(t.Context(), x.Pages[0], taking(r, 0))
			if err != nil {
				t.Fatal(err)
			}
			requests, found := w.Account()
			if p.Takeable(0) || p.Trusted(gone) || p.Trusted(short) || !p.Trusted(r.Place(d, 4).Pack) || len(found) != 2 {
				t.Errorf("span 0 takeable %t, found %v", p.Takeable(0), found)
			}
			lists, stats = r.Store.Calls(faults.List)-lists, r.Store.Calls(faults.Stat)-stats
			want := 3 // those two and the index pack
			if fault != nil && fault.Before != nil {
				want = 21
			}
			if size := w.Size(); fault == nil && size < 19*40 || size > 1<<20 {
				t.Errorf("it says that it takes %d bytes", size)
			}
			if lists != 1 || requests.Lists != 1 || stats != want {
				t.Errorf("%d listings, %d HEADs, want %d; %+v", lists, stats, want, requests)
			}
		})
	}
}
