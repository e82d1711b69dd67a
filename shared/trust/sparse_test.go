package trust_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/index"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store"
	"ivdmover/shared/store/faults"
	"ivdmover/shared/trust"
)

// both runs a test on a plain and on an encrypted repository.
func both(t *testing.T, test func(t *testing.T, r *repotest.Repository)) {
	t.Run("plain", func(t *testing.T) { test(t, repotest.New(t)) })
	t.Run("encrypted", func(t *testing.T) { test(t, repotest.Sealed(t)) })
}

// yesterday is a pack of another writer with some contents, whose hooks are stored.
type yesterday struct {
	ref ivd.PackRef
	ids []ivd.ContentID
}

func write(t *testing.T, r *repotest.Repository, run ivd.RunID) yesterday {
	t.Helper()
	w, err := r.NewWriter(r.Lease(repo.WriteLease), ivd.NewWriterID(), "another")
	if err != nil {
		t.Fatal(err)
	}
	p := w.NewPack(format.DataPack)
	var y yesterday
	for range 9 {
		b := make([]byte, 100)
		repotest.Noise(rand.New(rand.NewPCG(rand.Uint64(), 1)), b)
		y.ids = append(y.ids, r.Suite().ID(b))
		repotest.Chunk(p, y.ids[len(y.ids)-1], b)
	}
	if y.ref, _, _, err = w.PutPack(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := w.PutHooks(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	return y
}

func (y yesterday) prove(t *testing.T, r *repotest.Repository) {
	t.Helper()
	if damage, err := r.ProvePack(t.Context(), y.ref.Pack, nil); damage != nil || err != nil {
		t.Fatalf("%v, %v", damage, err)
	}
	if err := r.PutVerified(t.Context(), "a test", []ivd.PackID{y.ref.Pack}); err != nil {
		t.Fatal(err)
	}
}

// mover is another process's view.
func mover(t *testing.T, r *repotest.Repository, unproven bool) (*trust.Sparse, *index.Index) {
	s := trust.NewSparse(r.Repository, 1<<20)
	return s, index.New(1<<20, index.Sparse{Hooks: s.Hooks(), Unproven: unproven})
}

func refresh(t *testing.T, s *trust.Sparse) {
	t.Helper()
	if err := s.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// What another writer has stored is found once it is proven, or before where that is wanted.
func TestProvenPacksAreFound(t *testing.T) {
	both(t, func(t *testing.T, r *repotest.Repository) {
		y := write(t, r, "run-1")
		s, proven := mover(t, r, false)
		all, writers := mover(t, r, true)
		w := open(t, r)
		refresh(t, s)
		refresh(t, all)
		if found := proven.Lookup(t.Context(), y.ids, w); !found[0].IsZero() {
			t.Errorf("nobody has proven it: %+v", found[0])
		}
		if found := writers.Lookup(t.Context(), y.ids, w); found[4].PackRef != y.ref || !found[4].Unproven {
			t.Errorf("unproven packs are wanted: %+v", found[4])
		}
		if requests, _ := w.Account(); requests.All < 3 {
			t.Errorf("%+v are counted", requests)
		}
		y.prove(t, r)
		refresh(t, s)
		for i, at := range proven.Lookup(t.Context(), y.ids, w) {
			if at.PackRef != y.ref || at.Unproven || at.Length == 0 {
				t.Errorf("content %d: %+v", i, at)
			}
		}
		// The pack is known to be there: it is not asked for again.
		w.Account()
		if ok, err := w.Pack(t.Context(), format.DataPack, y.ref.Pack, time.Time{}); err != nil || !ok {
			t.Errorf("%t, %v", ok, err)
		}
		if requests, _ := w.Account(); requests.All != 0 {
			t.Errorf("%+v", requests)
		}
	})
}

// Hooks and proofs come in any order, and are read once.
func TestListsComeInAnyOrder(t *testing.T) {
	r := repotest.New(t)
	s, x := mover(t, r, false)
	w := open(t, r)
	has := func(y yesterday, want bool) {
		t.Helper()
		if found := x.Lookup(t.Context(), y.ids[:1], w); found[0].IsZero() == want {
			t.Errorf("found %t, want %t", !want, want)
		}
	}
	refresh(t, s)
	// The proof is read before the hooks come.
	late := write(t, r, "run-3")
	late.prove(t, r)
	lists, err := r.HookLists(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o, err := r.Clock.Get(t.Context(), lists[0], 1<<20)
	if err == nil {
		err = r.Clock.Delete(t.Context(), lists[0])
	}
	if err != nil {
		t.Fatal(err)
	}
	refresh(t, s)
	has(late, false)
	if err := r.Clock.Put(t.Context(), lists[0], o.Body); err != nil {
		t.Fatal(err)
	}
	refresh(t, s)
	has(late, true)
	// Newer ones, and older ones of another mover that was slow.
	newer, older := write(t, r, "run-4"), write(t, r, "run-2")
	refresh(t, s)
	newer.prove(t, r)
	older.prove(t, r)
	refresh(t, s)
	has(newer, true)
	has(older, true)
	r.Pass(10 * day)
	refresh(t, s)
	before := r.Store.Calls(faults.Get)
	refresh(t, s)
	if n := r.Store.Calls(faults.Get) - before; n != 0 {
		t.Errorf("%d lists are read again", n)
	}
}

// A store that fails keeps what was read, and the rest is read later; lists that nobody can
// read are passed over.
func TestRefreshGoesOn(t *testing.T) {
	both(t, func(t *testing.T, r *repotest.Repository) {
		var all []yesterday
		for n := range 6 {
			all = append(all, write(t, r, ivd.RunID("run-"+string(rune('a'+n)))))
			all[n].prove(t, r)
		}
		for _, folder := range []string{"hooks/", "verified/"} {
			if err := r.Clock.Put(t.Context(), store.Name(folder+r.Domain().String()+"/run-z-0"), []byte("rubbish")); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range []faults.Fault{
			{On: faults.List, Prefix: "hooks/"},
			{On: faults.List, Prefix: "verified/"},
			{On: faults.Get, Prefix: "hooks/", Call: 6},
			{On: faults.Get, Prefix: "verified/", Call: 6},
		} {
			s, x := mover(t, r, false)
			f.Before = faults.ErrInjected
			r.Store.Add(f)
			wantKind(t, s.Refresh(t.Context()), ivd.Transient)
			refresh(t, s)
			w := open(t, r)
			for n, y := range all {
				if found := x.Lookup(t.Context(), y.ids, w); found[3].PackRef != y.ref {
					t.Errorf("after %s of %s failed, pack %d: %+v", f.On, f.Prefix, n, found[3].Place)
				}
			}
		}
	})
}

// A pack that is condemned or retired, or gone, is not deduplicated against, however well it
// is proven; nor is one that has become so since its directory was read.
func TestSparseObeysTheLists(t *testing.T) {
	both(t, func(t *testing.T, r *repotest.Repository) {
		for name, act := range map[string]func(ivd.PackID){
			"condemned": func(p ivd.PackID) { r.Condemn([]ivd.PackID{p}) },
			"gone":      func(p ivd.PackID) { r.Delete(format.DataPack, p) },
			"retired":   r.Retire,
		} {
			y := write(t, r, "run-1")
			y.prove(t, r)
			act(y.ref.Pack)
			s, x := mover(t, r, false)
			refresh(t, s)
			w := open(t, r)
			if found := x.Lookup(t.Context(), y.ids, w); !found[0].IsZero() {
				t.Errorf("%s: %+v", name, found[0])
			}
			if barred := w.Barred(y.ref.Pack); barred != (name != "gone") {
				t.Errorf("%s: barred %t", name, barred)
			}
			if _, found := w.Account(); found != nil {
				t.Errorf("%s: what only hooks have led to is told of as damage: %v", name, found)
			}
		}
	})
}

// Lists of one run are in no order: each that comes later is newer than what was read.
func TestNewestListsOfARunAreTaken(t *testing.T) {
	r := repotest.New(t)
	s := trust.NewSparse(r.Repository, 2*91)
	for n := range byte(11) { // the tenth name sorts before the ninth
		pack, id := ivd.PackID{n + 1}, ivd.ContentID{n + 1}
		r.Hook("run-1", map[ivd.PackRef][]ivd.ContentID{{Pack: pack}: {id}})
		refresh(t, s)
		if c, ok := s.Hooks().Find(id); !ok || c.Pack != pack {
			t.Fatalf("list %d of the run was not taken", n)
		}
	}
}
