package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

func read(t *testing.T, s store.Store, name store.Name) store.Object {
	t.Helper()
	o, err := s.Get(t.Context(), name, 1<<20)
	if err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	return o
}

func replace(t *testing.T, s store.Store) {
	const name = "repo.json"
	put(t, s, name, []byte("first"))
	first := read(t, s, name)
	if err := s.Replace(t.Context(), first, []byte("the second")); err != nil {
		t.Fatalf("replace: %v", err)
	}
	if got := get(t, s, name); string(got) != "the second" {
		t.Fatalf("replaced: %q", got)
	}
	wantKind(t, "what was replaced before", s.Replace(t.Context(), first, []byte("third")), ivd.Conflict)
	second := read(t, s, name)
	put(t, s, name, []byte("the third!")) // as long as the second
	wantKind(t, "what was overwritten", s.Replace(t.Context(), second, []byte("fourth")), ivd.Conflict)
	third := read(t, s, name)
	if string(third.Body) != "the third!" {
		t.Fatalf("after the others: %q", third.Body)
	}
	if err := s.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "what is gone", s.Replace(t.Context(), third, []byte("fourth")), ivd.Conflict)
	if got := names(t, s, ""); len(got) != 0 {
		t.Errorf("objects after the end of it: %v", got)
	}
	wantKind(t, "a bad name", s.Replace(t.Context(), store.Object{Info: store.Info{Name: "../x"}, Version: "v"}, nil), ivd.Invalid)
}

// replaceRace has several replace what they have all read: exactly one does.
func replaceRace(t *testing.T, s store.Store) {
	const name = "repo.json"
	put(t, s, name, []byte("as it was"))
	for round := range 10 {
		was := read(t, s, name)
		var won atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		for w := range 8 {
			body := fmt.Sprintf("writer %d of round %d", w, round)
			wg.Go(func() {
				switch err := s.Replace(t.Context(), was, []byte(body)); {
				case err == nil:
					won.Add(1)
					winner.Store(body)
				case ivd.KindOf(err) != ivd.Conflict:
					t.Errorf("lost with %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d have replaced it in round %d, want 1", won.Load(), round)
		}
		if got := get(t, s, name); string(got) != winner.Load() {
			t.Fatalf("it is %q, told %q", got, winner.Load())
		}
	}
}
