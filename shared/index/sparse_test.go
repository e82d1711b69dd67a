package index

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ivdmover/shared/ivd"
)

// shelf has directories: pack n has the contents 100n+1 to 100n+20.
type shelf struct {
	mu    sync.Mutex
	asked map[ivd.PackID]int
	fails func(ivd.PackID) error
	begun chan struct{} // nil: answers come at once
	goOn  chan struct{}
}

func newShelf() *shelf { return &shelf{asked: map[ivd.PackID]int{}} }

func (s *shelf) Contents(ctx context.Context, pack ivd.PackID) (list []ivd.ContentRef, err error) {
	s.mu.Lock()
	s.asked[pack]++
	fails := s.fails
	s.mu.Unlock()
	if s.begun != nil {
		s.begun <- struct{}{}
		select {
		case <-s.goOn:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if fails != nil {
		if err := fails(pack); err != nil {
			return nil, err
		}
	}
	for n := range 10 {
		if packOf(n) == pack {
			for i := range 20 {
				list = append(list, ivd.ContentRef{ID: idOf(100*n + i + 1), Place: ivd.Place{PackRef: ivd.PackRef{Pack: pack}, Offset: uint32(i)}})
			}
		}
	}
	return list, nil
}

func (s *shelf) count() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.asked {
		n += c
	}
	return n
}

// hooked are hooks to the packs of a shelf: the contents 5 and 11 of each.
func hookedShelf(proven ...int) *Hooks {
	h := NewHooks(1 << 20)
	for n := range 10 {
		h.AddNewer(packOf(n), []ivd.ContentID{idOf(100*n + 5), idOf(100*n + 11)})
	}
	for _, n := range proven {
		h.Prove([]ivd.PackID{packOf(n)})
	}
	return h
}

func contents(list ...int) (ids []ivd.ContentID) {
	for _, i := range list {
		ids = append(ids, idOf(i))
	}
	return ids
}

// A hook leads to a directory, and what lies beside it is found without a request.
func TestLookup(t *testing.T) {
	s := newShelf()
	x := New(1<<20, Sparse{Hooks: hookedShelf(1, 2)})
	found := x.Lookup(t.Context(), contents(104, 105, 106, 211, 301, 305, 999), s)
	for i, want := range []uint32{3, 4, 5, 10} {
		if n := min(i/3+1, 2); found[i].Pack != packOf(n) || found[i].Offset != want || found[i].Unproven {
			t.Errorf("content %d of the question is at %+v", i, found[i])
		}
	}
	if !found[4].IsZero() || !found[5].IsZero() || !found[6].IsZero() {
		t.Errorf("of a pack that is not proven, and of none: %+v", found[4:])
	}
	if s.count() != 2 {
		t.Errorf("%d directories were loaded", s.count())
	}
	for i := range 20 {
		if at, ok := x.Find(idOf(100 + i + 1)); !ok || at.Offset != uint32(i) {
			t.Errorf("content %d: %+v", i, at)
		}
	}
	if x.Lookup(t.Context(), contents(105, 205, 305), s); s.count() != 2 {
		t.Errorf("%d directories were loaded", s.count())
	}
}

// Packs that are not proven are followed where that is wanted, and said to be so. What this
// process has stored itself stays where it is.
func TestUnproven(t *testing.T) {
	s := newShelf()
	x := New(1<<20, Sparse{Hooks: hookedShelf(1), Unproven: true})
	x.Add(idOf(306), ivd.Place{Offset: 77})
	found := x.Lookup(t.Context(), contents(105, 305, 306), s)
	if found[0].Unproven || !found[1].Unproven || found[1].Pack != packOf(3) || found[2].Unproven || found[2].Offset != 77 {
		t.Errorf("%+v", found)
	}
	if at, _ := x.Find(idOf(307)); !at.Unproven {
		t.Errorf("beside it: %+v", at)
	}
}

// A hook that lies costs one request; so does a pack that is gone, or of which nothing is to
// be had.
func TestLyingHooks(t *testing.T) {
	for name, err := range map[string]error{
		"it has no such content": nil, "it is gone": ivd.Errorf(ivd.NotFound, "gone"), "it is damaged": ivd.Errorf(ivd.Corrupt, "damaged"),
		"its writer is not registered": ivd.Errorf(ivd.Denied, "who"), "it is not understood": ivd.Errorf(ivd.Unsupported, "new"),
	} {
		s := newShelf()
		s.fails = func(ivd.PackID) error { return err }
		h := NewHooks(1 << 20)
		h.AddNewer(packOf(1), contents(700, 701)) // it has neither
		h.Prove([]ivd.PackID{packOf(1)})
		x := New(1<<20, Sparse{Hooks: h, Failed: func(err error) { t.Errorf("%s: %v", name, err) }})
		for range 5 {
			if found := x.Lookup(t.Context(), contents(700, 701), s); !found[0].IsZero() || !found[1].IsZero() {
				t.Errorf("%s: %+v", name, found)
			}
		}
		if s.count() != 1 {
			t.Errorf("%s: %d requests", name, s.count())
		}
	}
}

// Two hooks may lead to a content: where the first lies, the other is followed.
func TestSecondHookIsFollowed(t *testing.T) {
	s := newShelf()
	h := hookedShelf(1)
	h.AddNewer(packOf(9), contents(105)) // newer, proven, and a lie
	h.Prove([]ivd.PackID{packOf(9)})
	h.AddNewer(packOf(8), contents(105))
	x := New(1<<20, Sparse{Hooks: h})
	if found := x.Lookup(t.Context(), contents(105), s); found[0].Pack != packOf(1) {
		t.Errorf("%+v after %d requests", found, s.count())
	}
}

// A store that is away is asked once, and not again for a while; what is known is found.
func TestStoreIsAway(t *testing.T) {
	s := newShelf()
	away := errors.New("the store is away")
	s.fails = func(ivd.PackID) error { return away }
	told := 0
	x := New(1<<20, Sparse{Hooks: hookedShelf(1, 2, 3), Failed: func(err error) {
		if told++; !errors.Is(err, away) {
			t.Error(err)
		}
	}})
	for i := range 50 {
		if found := x.Lookup(t.Context(), contents(105), s); !found[0].IsZero() {
			t.Errorf("look-up %d: %+v", i, found)
		}
	}
	if s.count() != 1 || told != 1 {
		t.Errorf("%d requests, told %d times", s.count(), told)
	}
	s.fails = nil
	x.rest = time.Now()
	if found := x.Lookup(t.Context(), contents(105), s); found[0].Pack != packOf(1) {
		t.Errorf("the store is back: %+v", found)
	}
}

// A directory that several wait for is loaded once; who is cancelled does not wait, and the
// store is not taken to be away.
func TestOneLoadForAll(t *testing.T) {
	s := newShelf()
	s.begun, s.goOn = make(chan struct{}), make(chan struct{})
	x := New(1<<20, Sparse{Hooks: hookedShelf(1), Failed: func(err error) { t.Error(err) }})
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if found := x.Lookup(t.Context(), contents(105, 111), s); found[0].Pack != packOf(1) || found[1].Pack != packOf(1) {
				t.Errorf("%+v", found)
			}
		})
	}
	<-s.begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if found := x.Lookup(ctx, contents(105), s); !found[0].IsZero() {
		t.Errorf("%+v", found)
	}
	close(s.goOn)
	all.Wait()
	if s.count() != 1 {
		t.Errorf("%d loads", s.count())
	}
}

// All look-ups together load so many directories at once: each takes memory.
func TestLoadsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.begun, s.goOn = make(chan struct{}, 10), make(chan struct{})
		x := New(1<<20, Sparse{Hooks: hookedShelf(), Unproven: true})
		var wait sync.WaitGroup
		for half := range 2 {
			wait.Go(func() {
				var ids []int
				for n := range 5 {
					ids = append(ids, 100*(5*half+n)+5)
				}
				for _, f := range x.Lookup(t.Context(), contents(ids...), s) {
					if f.IsZero() {
						t.Error("a content was not found")
					}
				}
			})
		}
		synctest.Wait()
		if n := s.count(); n != loadsAtOnce {
			t.Errorf("%d directories are loaded at once, want %d", n, loadsAtOnce)
		}
		close(s.goOn)
		wait.Wait()
	})
}
