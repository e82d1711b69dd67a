package repo_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store"
	"ivdmover/shared/store/faults"
)

// writes stores packs of so many chunks each as a mover does.
func writes(t *testing.T, r *repotest.Repository, as *repo.Repository, packs, chunks int) (*repo.Writer, []ivd.PackRef, [][]ivd.ContentID) {
	t.Helper()
	w, err := as.NewWriter(r.Lease(repo.WriteLease), ivd.NewWriterID(), "proxy-1")
	if err != nil {
		t.Fatal(err)
	}
	var refs []ivd.PackRef
	var ids [][]ivd.ContentID
	for n := range packs {
		p := w.NewPack(format.DataPack)
		var of []ivd.ContentID
		for i := range chunks {
			b := []byte{byte(n), byte(n >> 8), byte(i), byte(i >> 8), w.ID()[0]}
			of = append(of, as.Suite().ID(b))
			repotest.Chunk(p, of[i], b)
		}
		ref, _, _, err := w.PutPack(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		refs, ids = append(refs, ref), append(ids, of)
	}
	return w, refs, ids
}

// Each data pack leaves its first content and its smallest ids, sealed where the
// repository is, and signed by nobody: a mover stores them.
func TestHooks(t *testing.T) {
	both(t, func(t *testing.T, r *repotest.Repository) {
		m := r.Repository
		if r.Grant() != nil {
			m = asMover(t, r)
		}
		w, refs, ids := writes(t, r, m, 3, 20)
		if n, since := w.Unhooked(); n != 3 || since.IsZero() {
			t.Errorf("%d packs have hooks to store, since %s", n, since)
		}
		r.Store.Add(faults.Fault{On: faults.Put, Prefix: "hooks/", Before: faults.ErrInjected})
		if err := w.PutHooks(t.Context(), "run-1"); ivd.KindOf(err) != ivd.Transient {
			t.Errorf("the store is away: %v", err)
		}
		for range 2 { // the second has nothing to store
			if err := w.PutHooks(t.Context(), "run-1"); err != nil {
				t.Fatal(err)
			}
		}
		lists, err := r.HookLists(t.Context())
		if err != nil || len(lists) != 1 || !strings.HasPrefix(string(lists[0]), "hooks/"+r.Domain().String()+"/run-1-") {
			t.Fatalf("%v, %v", lists, err)
		}
		o, err := r.Clock.Get(t.Context(), lists[0], 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if sealed := !bytes.Contains(o.Body, ids[0][0][:]); sealed != (r.Grant() != nil) {
			t.Errorf("the list is sealed: %t", sealed)
		}
		_, packs, err := r.Hooks(t.Context(), lists[0])
		if err != nil || len(packs) != 3 {
			t.Fatalf("%d packs: %v", len(packs), err)
		}
		for _, p := range packs {
			n := slices.Index(refs, p.Ref)
			if n < 0 {
				t.Fatalf("pack %v was never stored", p.Ref)
			}
			rest := slices.SortedFunc(slices.Values(ids[n][1:]), func(a, b ivd.ContentID) int { return bytes.Compare(a[:], b[:]) })
			want := append([]ivd.ContentID{ids[n][0]}, rest[:repo.HooksPerPack-1]...)
			for _, id := range want {
				if !slices.Contains(p.IDs, id) || len(p.IDs) != len(want) {
					t.Errorf("pack %d has the hooks %v, want %v", n, p.IDs, want)
				}
			}
		}
	})
}

// What is damaged, of another repository, or larger than it can be is refused: nothing is
// read of it, and it stops nobody.
func TestHooksThatCannotBeRead(t *testing.T) {
	both(t, func(t *testing.T, r *repotest.Repository) {
		w, _, _ := writes(t, r, r.Repository, 1, 2)
		if err := w.PutHooks(t.Context(), "run-1"); err != nil {
			t.Fatal(err)
		}
		lists, err := r.HookLists(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		o, err := r.Clock.Get(t.Context(), lists[0], 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		folder := "hooks/" + r.Domain().String() + "/"
		other := map[store.Name][]byte{
			store.Name(folder + "run-2-flipped"): append(bytes.Clone(o.Body[:len(o.Body)-1]), o.Body[len(o.Body)-1]^1),
			store.Name(folder + "run-2-cut"):     o.Body[:len(o.Body)/2],
			store.Name(folder + "run-2-empty"):   nil,
			store.Name(folder + "run-2-moved"):   o.Body,
			store.Name(folder + "run-2-huge"):    make([]byte, 3<<20),
		}
		for name, body := range other {
			if err := r.Clock.Put(t.Context(), name, body); err != nil {
				t.Fatal(err)
			}
			if _, packs, err := r.Hooks(t.Context(), name); ivd.KindOf(err) != ivd.Corrupt || packs != nil {
				t.Errorf("%s: %v, %d packs", name, err, len(packs))
			}
		}
		if useless, err := r.RollUpHooks(t.Context(), rolledBefore(r), func(ivd.PackID) bool { return true }); err != nil || useless != nil {
			t.Errorf("%v, %v", useless, err)
		}
	})
}

// Many lists become one, without what is gone, and the newest runs stay the newest.
func TestRollUpHooks(t *testing.T) {
	both(t, func(t *testing.T, r *repotest.Repository) {
		var all []ivd.PackRef
		for n := range 20 {
			w, refs, _ := writes(t, r, r.Repository, 2, 3)
			run := ivd.RunID("20261130t2200" + string(rune('a'+n)) + "z-0")
			if err := w.PutHooks(t.Context(), run); err != nil {
				t.Fatal(err)
			}
			all = append(all, refs...)
			if n < 10 {
				continue
			}
			useless, err := r.RollUpHooks(t.Context(), rolledBefore(r), func(ivd.PackID) bool { return true })
			if err != nil {
				t.Fatal(err)
			}
			if n < 15 && useless != nil || n == 15 && len(useless) != 16 {
				t.Errorf("of %d lists %d are of no use", n+1, len(useless))
			}
			for _, name := range useless {
				if err := r.Clock.Delete(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			}
		}
		// Five are left; four more, and nothing is rolled up, but what is gone is told.
		before, err := r.HookLists(t.Context())
		if err != nil || len(before) != 5 {
			t.Fatalf("%d lists: %v", len(before), err)
		}
		useless, err := r.RollUpHooks(t.Context(), rolledBefore(r), func(id ivd.PackID) bool {
			return !slices.ContainsFunc(all[30:32], func(p ivd.PackRef) bool { return p.Pack == id })
		})
		if err != nil || useless != nil {
			t.Errorf("%v, %v", useless, err)
		}
		useless, err = r.RollUpHooks(t.Context(), rolledBefore(r), func(id ivd.PackID) bool {
			return !slices.ContainsFunc(all[38:], func(p ivd.PackRef) bool { return p.Pack == id })
		})
		if err != nil || len(useless) != 1 || useless[0] != before[0] {
			t.Errorf("%v, %v", useless, err)
		}
		_, packs, err := r.Hooks(t.Context(), before[4])
		if err != nil || len(packs) != 32 {
			t.Fatalf("the oldest list has %d packs: %v", len(packs), err)
		}
	})
}

// Packs that are gone are left out of what is rolled up.
func TestRollUpLeavesOutWhatIsGone(t *testing.T) {
	r := repotest.New(t)
	var gone []ivd.PackID
	for n := range 16 {
		w, refs, _ := writes(t, r, r.Repository, 2, 3)
		if err := w.PutHooks(t.Context(), ivd.RunID("run-"+string(rune('a'+n)))); err != nil {
			t.Fatal(err)
		}
		gone = append(gone, refs[0].Pack)
	}
	useless, err := r.RollUpHooks(t.Context(), rolledBefore(r), func(id ivd.PackID) bool { return !slices.Contains(gone, id) })
	if err != nil || len(useless) != 16 {
		t.Fatalf("%d of no use: %v", len(useless), err)
	}
	lists, err := r.HookLists(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range lists {
		if slices.Contains(useless, name) {
			continue
		}
		_, packs, err := r.Hooks(t.Context(), name)
		if err != nil || len(packs) != 16 || !strings.Contains(string(name), "/run-p-") {
			t.Errorf("%s: %d packs, %v", name, len(packs), err)
		}
		for _, p := range packs {
			if slices.Contains(gone, p.Ref.Pack) {
				t.Errorf("pack %s is gone", p.Ref.Pack)
			}
		}
	}
}

// rolledBefore is a time before which all lists of a test were made.
func rolledBefore(r *repotest.Repository) time.Time { return r.Now().Add(time.Hour) }

// What was stored since a collection looked at the packs is not for it to judge.
func TestRollUpLeavesLaterListsAlone(t *testing.T) {
	r := repotest.New(t)
	begun := r.Now()
	r.Clock.Pass(time.Hour)
	for n := range 16 {
		w, _, _ := writes(t, r, r.Repository, 2, 3)
		if err := w.PutHooks(t.Context(), ivd.RunID("run-"+string(rune('a'+n)))); err != nil {
			t.Fatal(err)
		}
	}
	useless, err := r.RollUpHooks(t.Context(), begun, func(ivd.PackID) bool { return false })
	if err != nil || useless != nil {
		t.Errorf("%v, %v", useless, err)
	}
}
