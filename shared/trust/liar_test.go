package trust_test

import (
	"math/rand/v2"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo/repotest"
)

// A mover that lies in its writer's id, or is no writer at all, is believed by nobody, not
// where unproven packs are wanted, not where somebody lists its pack as proven: not its
// hooks, not its directory.
func TestWhoLiesAboutItselfIsNotBelieved(t *testing.T) {
	r := repotest.Sealed(t)
	content := []byte("what others have, too")
	id := r.Suite().ID(content)
	fill := func(p *format.Pack) { repotest.Chunk(p, id, content) }
	honest := r.Forger(true)
	for name, c := range map[string]struct {
		ref  ivd.PackRef
		want bool
	}{
		"another writer's id": {r.Forger(true).Put(honest.ID, fill), false},
		"nobody's id":         {r.Forger(true).Put(ivd.NewWriterID(), fill), false},
		"not registered":      {func() ivd.PackRef { f := r.Forger(false); return f.Put(f.ID, fill) }(), false},
		"its own id":          {honest.Put(honest.ID, fill), true},
	} {
		w := open(t, r)
		if list, err := w.Contents(t.Context(), c.ref.Pack); (err == nil) != c.want || c.want != (len(list) == 1) {
			t.Errorf("%s: %d contents, %v", name, len(list), err)
		}
	}
	forged := r.Forger(true).Put(honest.ID, fill)
	r.Hook("run-1", map[ivd.PackRef][]ivd.ContentID{forged: {id}})
	if err := r.PutVerified(t.Context(), "a mistake", []ivd.PackID{forged.Pack}); err != nil {
		t.Fatal(err)
	}
	s, x := mover(t, r, true)
	refresh(t, s)
	if s.Hooks().Len() != 1 {
		t.Fatal("there is no hook to the pack")
	}
	if found := x.Lookup(t.Context(), []ivd.ContentID{id}, open(t, r)); !found[0].IsZero() {
		t.Errorf("a forged pack is built on: %+v", found[0])
	}
}

// A mover that lies in a directory is believed only where unproven packs are wanted, and
// then what is built on it is counted: who proves packs does not list it.
func TestWhoLiesInDirectoriesIsNotProven(t *testing.T) {
	both(t, func(t *testing.T, r *repotest.Repository) {
		id := r.Suite().ID([]byte("what others have, too"))
		f := r.Forger(true)
		lie := f.Put(f.ID, func(p *format.Pack) { repotest.Chunk(p, id, []byte("rubbish")) })
		r.Hook("run-1", map[ivd.PackRef][]ivd.ContentID{lie: {id}})
		if damage, err := r.ProvePack(t.Context(), lie.Pack, nil); damage == nil || err != nil {
			t.Fatalf("it is proven: %v", err)
		}
		s, careful := mover(t, r, false)
		all, careless := mover(t, r, true)
		refresh(t, s)
		refresh(t, all)
		w := open(t, r)
		if found := careful.Lookup(t.Context(), []ivd.ContentID{id}, w); !found[0].IsZero() {
			t.Errorf("%+v", found[0])
		}
		if found := careless.Lookup(t.Context(), []ivd.ContentID{id}, w); found[0].PackRef != lie || !found[0].Unproven {
			t.Errorf("%+v", found[0])
		}
	})
}

// Hooks that lie cost a request each, and hide nothing that others say.
func TestLyingHooksCostARequest(t *testing.T) {
	both(t, func(t *testing.T, r *repotest.Repository) {
		y := write(t, r, "run-1")
		y.prove(t, r)
		other := write(t, r, "run-0")
		other.prove(t, r)
		lies := map[ivd.PackRef][]ivd.ContentID{
			{Pack: ivd.PackID{1}, Writer: y.ref.Writer, Nonce: y.ref.Nonce}:              {y.ids[0]}, // no such pack
			{Pack: other.ref.Pack, Writer: other.ref.Writer, Nonce: ivd.Nonce{1}}:        {y.ids[1]}, // another pack, of another nonce
			{Pack: ivd.PackID(y.ids[2]), Writer: ivd.WriterID{3}, Nonce: ivd.NewNonce()}: {y.ids[2]},
		}
		r.Hook("run-9", lies)
		var fake []ivd.PackID
		for ref := range lies {
			fake = append(fake, ref.Pack)
		}
		if err := r.PutVerified(t.Context(), "a mistake", fake); err != nil {
			t.Fatal(err)
		}
		s, x := mover(t, r, false)
		refresh(t, s)
		w := open(t, r)
		for i, at := range x.Lookup(t.Context(), y.ids, w) {
			if at.PackRef != y.ref {
				t.Errorf("content %d: %+v", i, at.Place)
			}
		}
		before, _ := w.Account()
		for range 5 {
			rand.Shuffle(len(y.ids), func(i, j int) { y.ids[i], y.ids[j] = y.ids[j], y.ids[i] })
			x.Lookup(t.Context(), append(y.ids, r.Suite().ID([]byte("new"))), w)
		}
		if after, damaged := w.Account(); after.All != 0 || before.All > 12 || damaged != nil {
			t.Errorf("%d requests, then %d; damaged %v", before.All, after.All, damaged)
		}
	})
}
