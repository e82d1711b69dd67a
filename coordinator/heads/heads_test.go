package heads_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/coordinator/heads"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store"
	"ivdmover/shared/store/faults"
)

// world is a repository, and the folders of coordinators.
type world struct {
	*testing.T
	r    *repotest.Repository
	keys repo.Keys
	said bytes.Buffer
	runs int
}

func each(t *testing.T, f func(w *world)) {
	t.Run("plain", func(t *testing.T) { f(&world{T: t, r: repotest.New(t)}) })
	t.Run("encrypted", func(t *testing.T) {
		f(&world{T: t, r: repotest.Sealed(t), keys: repo.Keys{Passphrase: repotest.Passphrase}})
	})
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// start is a coordinator that begins with what its folder holds.
func (w *world) start(dir, name string) *heads.Keeper {
	w.Helper()
	r, err := repo.OpenWith(w.Context(), w.r.Store, w.keys)
	w.must(err)
	return heads.Open(dir, r, name, slog.New(slog.NewTextHandler(&w.said, nil)))
}

// run is one that is over; each began a second after the one before.
func (w *world) run() format.Run {
	w.runs++
	began := w.r.Now().UTC().Truncate(time.Second).Add(time.Duration(w.runs) * time.Second)
	return format.Run{ID: ivd.NewRunID(began), Kind: "backup", State: "done", Started: began, Ended: began}
}

func (w *world) put(k *heads.Keeper) repo.StoredRun {
	w.Helper()
	run := w.run()
	w.must(k.PutRun(w.Context(), run))
	return w.read(run.ID)
}

func (w *world) read(id ivd.RunID) repo.StoredRun {
	w.Helper()
	s, err := w.r.ReadStoredRun(w.Context(), id)
	w.must(err)
	return s
}

func (w *world) name(id ivd.RunID) store.Name {
	return store.Name("runs/" + w.r.Domain().String() + "/" + string(id))
}

func (w *world) earlier(err error, says ...string) {
	w.Helper()
	if !errors.Is(err, heads.ErrEarlier) || ivd.KindOf(err) != ivd.Permanent || !strings.Contains(ivd.RemedyOf(err), "ivd repo adopt") {
		w.Fatalf("%v; remedy %q", err, ivd.RemedyOf(err))
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			w.Errorf("%q does not say %q", err, s)
		}
	}
}

func (w *world) lines(text string) int { return strings.Count(w.said.String(), text) }

// adopt is what a person does.
func (w *world) adopt() {
	w.Helper()
	k := w.keys
	k.Adopting = k.Passphrase != ""
	r, err := repo.OpenWith(w.Context(), w.r.Store, k)
	w.must(err)
	_, err = r.Adopt(w.Context())
	w.must(err)
}

// saved is the repository as it is now; restore brings it back to that.
func (w *world) saved() (restore func()) {
	w.Helper()
	copied := w.TempDir()
	w.must(os.CopyFS(copied, os.DirFS(w.r.Dir)))
	return func() {
		entries, err := os.ReadDir(w.r.Dir)
		w.must(err)
		for _, e := range entries {
			w.must(os.RemoveAll(filepath.Join(w.r.Dir, e.Name())))
		}
		w.must(os.CopyFS(w.r.Dir, os.DirFS(copied)))
	}
}

// chained fails unless the runs are a series of that coordinator from its beginning.
func (w *world) chained(name string, runs ...repo.StoredRun) {
	w.Helper()
	for i, s := range runs {
		want := (*format.RunLink)(nil)
		if i > 0 {
			want = &format.RunLink{Run: runs[i-1].ID, Sum: runs[i-1].Sum}
		}
		if s.Coordinator != name || s.Sequence != uint64(i+1) || (want == nil) != (s.Previous == nil) || want != nil && *s.Previous != *want {
			w.Errorf("record %d: %d of %s after %+v", i, s.Sequence, s.Coordinator, s.Previous)
		}
	}
}

// A repository that was brought back to what it was a day ago is noticed before anything
// is written, whether its coordinators were restarted or not, and one line says so.
// Reading goes on; a person may adopt it.
func TestRollback(t *testing.T) {
	each(t, func(w *world) {
		a, b := w.TempDir(), w.TempDir()
		one, two := w.start(a, "one"), w.start(b, "two")
		first := w.put(one)
		w.must(two.Check(w.Context()))
		yesterday := w.saved()
		second := w.put(one)
		w.chained("one", first, second)
		w.must(two.Check(w.Context()))
		yesterday()

		for who, k := range map[string]*heads.Keeper{"one": one, "two": two, "one, restarted": w.start(a, "one"), "two, restarted": w.start(b, "two")} {
			before := w.lines("nothing is written")
			for range 2 {
				w.earlier(k.Check(w.Context()), string(second.ID), "is gone")
			}
			w.earlier(k.State())
			if n := w.lines("nothing is written") - before; n != 1 || w.lines("remedy=") == 0 {
				w.Errorf("%s: %d lines: %s", who, n, &w.said)
			}
			guard := heads.Guard{Repository: w.r.Repository, Keeper: k}
			_, err := guard.OpenLease(w.Context(), repo.LeaseSpec{})
			w.earlier(err)
			if _, err := guard.OpenLease(w.Context(), repo.LeaseSpec{Kind: repo.ReadLease}); err != nil {
				w.Errorf("%s: a reader: %v", who, err)
			}
		}
		w.earlier(one.PutRun(w.Context(), w.run()))

		w.adopt()
		one, two = w.start(a, "one"), w.start(b, "two")
		w.must(one.Check(w.Context()))
		if w.lines("was adopted") != 1 || one.State() != nil {
			w.Errorf("%v: %s", one.State(), &w.said)
		}
		w.chained("one", first, w.put(one))
		w.must(two.Check(w.Context()))
	})
}

// A record that is another one than was seen, and one that is missing before others, are
// noticed as well.
func TestRecordsAreWhatTheyWere(t *testing.T) {
	for what, c := range map[string]struct {
		change func(w *world, mine *heads.Keeper, seen repo.StoredRun)
		says   string
	}{
		"a record in the place of the head": {func(w *world, _ *heads.Keeper, seen repo.StoredRun) {
			other := seen.Run
			other.LeftOut = "all is well"
			body, err := w.r.EncodeRun(other)
			w.must(err)
			w.must(w.r.Store.Put(w.Context(), w.name(seen.ID), body))
		}, "is another one"},
		"bytes that are no record in the place of the head": {func(w *world, _ *heads.Keeper, seen repo.StoredRun) {
			w.must(w.r.Store.Put(w.Context(), w.name(seen.ID), []byte("x")))
		}, "is another one"},
		"a record is gone that was never seen": {func(w *world, mine *heads.Keeper, _ repo.StoredRun) {
			gone := w.put(mine)
			w.put(mine)
			w.must(w.r.Store.Delete(w.Context(), w.name(gone.ID)))
		}, "is gone, which run"},
		"a record that continues another one": {func(w *world, mine *heads.Keeper, seen repo.StoredRun) {
			next := w.run()
			next.Coordinator, next.Sequence, next.Previous = seen.Coordinator, seen.Sequence+1, &format.RunLink{Run: seen.ID, Sum: ivd.ContentID{1}}
			w.must(w.r.PutRun(w.Context(), next))
		}, "does not continue"},
		"another record with the number of the head": {func(w *world, _ *heads.Keeper, seen repo.StoredRun) {
			twin := w.run()
			twin.Coordinator, twin.Sequence = seen.Coordinator, seen.Sequence
			w.must(w.r.PutRun(w.Context(), twin))
		}, "the same number"},
	} {
		t.Run(what, func(t *testing.T) {
			each(t, func(w *world) {
				mine, other := w.start(w.TempDir(), "one"), w.start(w.TempDir(), "two")
				seen := w.put(mine)
				w.must(other.Check(w.Context()))
				c.change(w, mine, seen)
				for range 2 { // what is wrong stays wrong
					w.earlier(other.Check(w.Context()), c.says)
				}
				w.adopt() // and is what counts, once a person has said so, for whoever starts
				a, b := w.TempDir(), w.TempDir()
				for range 2 {
					for _, dir := range []string{a, b} {
						w.must(w.start(dir, "one").Check(w.Context()))
					}
				}
				w.must(other.Check(w.Context()))
				w.must(mine.Check(w.Context()))
				next := w.put(mine)
				for _, k := range []*heads.Keeper{other, mine, w.start(a, "one"), w.start(b, "two")} {
					w.must(k.Check(w.Context()))
				}
				if next.Sequence < seen.Sequence || next.Previous != nil && next.Sequence == seen.Sequence {
					w.Errorf("record %d after %+v", next.Sequence, next.Previous)
				}
			})
		})
	}
}

// A lower generation than was seen is an earlier state, though no run ended since.
func TestLowerGeneration(t *testing.T) {
	each(t, func(w *world) {
		dir := w.TempDir()
		before := w.saved()
		w.adopt()
		w.must(w.start(dir, "one").Check(w.Context()))
		before()
		w.earlier(w.start(dir, "one").Check(w.Context()), "generation 1", "generation 2")
	})
}

// A record that was written down and not stored comes before the next one, and one that
// was stored and not noted is noted, whichever way the coordinator died.
func TestDeathAroundARecord(t *testing.T) {
	each(t, func(w *world) {
		dir := w.TempDir()
		first := w.put(w.start(dir, "one"))
		die := func(f faults.Fault) repo.StoredRun {
			w.Helper()
			ctx, kill := context.WithCancel(w.Context())
			k := w.start(dir, "one")
			f.On, f.Prefix, f.Do = faults.Send, "runs/", func(store.Name) { kill() }
			w.r.Store.Add(f)
			run := w.run()
			if err := k.PutRun(ctx, run); err == nil {
				w.Fatal("it did not die")
			}
			w.must(w.start(dir, "one").Check(w.Context()))
			next := w.put(w.start(dir, "one"))
			if next.Previous == nil || next.Previous.Run != run.ID {
				w.Errorf("%+v, want it behind %s", next.Previous, run.ID)
			}
			return w.read(run.ID)
		}
		before := die(faults.Fault{Before: faults.ErrInjected})
		after := die(faults.Fault{After: faults.ErrInjected})
		w.chained("one", first, before, w.read(after.Previous.Run), after)

		// The folder is put back from a copy: what it does not know of is found.
		old, err := os.ReadFile(heads.File(dir, w.r.ID()))
		w.must(err)
		last := w.put(w.start(dir, "one"))
		w.must(os.WriteFile(heads.File(dir, w.r.ID()), old, 0o600))
		w.must(w.start(dir, "one").Check(w.Context()))
		if next := w.put(w.start(dir, "one")); next.Sequence != last.Sequence+1 {
			w.Errorf("number %d behind %d", next.Sequence, last.Sequence)
		}
	})
}

// An answer that is lost makes no second record, and a refusal takes no number.
func TestRecordWhoseAnswerIsLost(t *testing.T) {
	each(t, func(w *world) {
		k := w.start(w.TempDir(), "one")
		w.r.Store.Add(faults.Fault{On: faults.Send, Prefix: "runs/", After: faults.ErrInjected})
		first := w.put(k)
		w.r.Store.Add(faults.Fault{On: faults.Send, Prefix: "runs/", Before: &ivd.Error{Kind: ivd.Denied, Err: errors.New("no rights")}})
		if err := k.PutRun(w.Context(), w.run()); ivd.KindOf(err) != ivd.Denied {
			w.Fatal(err)
		}
		second := w.put(k)
		w.must(k.PutRun(w.Context(), second.Run)) // once more
		w.chained("one", first, second, w.put(k))
	})
}

// Runs that end at once are numbered without a gap; coordinators that share a key have
// an order each, and a run that was taken over has one record.
func TestRunsThatEndAtOnce(t *testing.T) {
	each(t, func(w *world) {
		const runs = 8
		names := []string{"one", "two"}
		keepers := map[string]*heads.Keeper{}
		var group sync.WaitGroup
		of := map[string][]format.Run{}
		for _, name := range names {
			keepers[name] = w.start(w.TempDir(), name)
			for range runs {
				of[name] = append(of[name], w.run())
			}
		}
		both := w.run()
		for _, name := range names {
			for _, run := range append(of[name], both) {
				group.Go(func() {
					if err := keepers[name].PutRun(w.Context(), run); err != nil {
						w.Error(err)
					}
				})
			}
		}
		group.Wait()
		all := map[string][]repo.StoredRun{}
		for _, run := range slices.Concat(of["one"], of["two"], []format.Run{both}) {
			s := w.read(run.ID)
			all[s.Coordinator] = append(all[s.Coordinator], s)
		}
		for _, name := range names {
			w.must(keepers[name].Check(w.Context()))
			slices.SortFunc(all[name], func(a, b repo.StoredRun) int { return int(a.Sequence) - int(b.Sequence) })
			w.chained(name, all[name]...)
		}
		if len(all["one"])+len(all["two"]) != 2*runs+1 {
			w.Errorf("%d and %d records", len(all["one"]), len(all["two"]))
		}
		h, err := heads.All(w.Context(), w.r.Repository, func(id ivd.RunID, err error) { w.Error(id, err) })
		if err != nil || len(h.Heads) != 2 || h.Heads[0].Sequence != uint64(len(all["one"])) || h.Heads[1].Run != all["two"][len(all["two"])-1].ID || h.Heads[0].Signer.IsZero() != (w.keys.Passphrase == "") {
			w.Errorf("%+v, %v", h, err)
		}
	})
}

// A file that is damaged, or a later release's, is never taken for an empty one.
func TestFileThatCannotBeRead(t *testing.T) {
	w := &world{T: t, r: repotest.New(t)}
	dir := t.TempDir()
	w.put(w.start(dir, "one"))
	file := heads.File(dir, w.r.ID())
	good, err := os.ReadFile(file)
	w.must(err)
	for i := range good[:len(good)-1] {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		w.must(os.WriteFile(file, bad, 0o600))
		if _, err := heads.Read(file); ivd.KindOf(err) != ivd.Corrupt {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	for name, c := range map[string]struct {
		body []byte
		kind ivd.Kind
	}{"empty": {nil, ivd.Corrupt}, "cut off": {good[:len(good)/2], ivd.Corrupt}, "later": {later(good), ivd.Unsupported}} {
		w.must(os.WriteFile(file, c.body, 0o600))
		k := w.start(dir, "one")
		for what, err := range map[string]error{"check": k.Check(t.Context()), "put": k.PutRun(t.Context(), w.run()), "state": k.State()} {
			if ivd.KindOf(err) != c.kind || ivd.RemedyOf(err) == "" {
				t.Errorf("%s, %s: %v, remedy %q", name, what, err, ivd.RemedyOf(err))
			}
		}
	}
	w.must(os.WriteFile(file, good, 0o600))
	w.must(w.start(dir, "one").Check(t.Context()))
}

func later(file []byte) []byte {
	return heads.Line(bytes.Replace(file[9:len(file)-1], []byte(`"version":1`), []byte(`"version":2`), 1))
}

// What the store cannot be asked for is neither there nor gone.
func TestStoreThatIsAway(t *testing.T) {
	each(t, func(w *world) {
		k := w.start(w.TempDir(), "one")
		w.put(k)
		for _, on := range []faults.Fault{{On: faults.Get, Prefix: "runs/"}, {On: faults.Get, Prefix: "repo.json"}, {On: faults.List, Prefix: "runs/"}} {
			on.Before = faults.ErrInjected
			w.r.Store.Add(on)
			if err := k.Check(w.Context()); ivd.KindOf(err) != ivd.Transient || k.State() != nil {
				w.Errorf("%+v: %v", on, err)
			}
		}
		w.must(k.Check(w.Context()))
		if w.lines("nothing is written") != 0 {
			w.Error(&w.said)
		}
	})
}

// In an encrypted repository a record counts by the key that has signed it: what was
// changed, or signed by nobody, is no record.
func TestRecordsOfAnIntruder(t *testing.T) {
	w := &world{T: t, r: repotest.Sealed(t), keys: repo.Keys{Passphrase: repotest.Passphrase}}
	k := w.start(t.TempDir(), "one")
	first := w.put(k)
	forged := w.run()
	forged.Coordinator, forged.Sequence, forged.Previous = "one", 2, &format.RunLink{Run: first.ID, Sum: first.Sum}
	body, err := w.r.EncodeRun(forged)
	w.must(err)
	body[len(body)-1] ^= 1
	w.must(w.r.Store.Put(t.Context(), w.name(forged.ID), body))
	w.must(k.Check(t.Context()))
	if w.lines("cannot be read")+w.lines("reading the record of a run failed") == 0 {
		t.Error("nothing is said of it")
	}
	w.chained("one", first, w.put(k))
	if got := fmt.Sprint(k.State()); got != "<nil>" {
		t.Error(got)
	}
}
