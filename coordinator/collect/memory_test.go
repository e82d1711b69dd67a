package collect

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"ivdmover/shared/ivd"
)

// A collection holds at most 24 bytes of each pack in memory, at any moment, and forgets
// none.
func TestMemoryOfAPack(t *testing.T) {
	const packs = 400_000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	id := func(i int) (id ivd.PackID) {
		rnd := rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), byte(i >> 16)})
		_, _ = rnd.Read(id[:]) // never fails
		return id
	}
	before := heap()
	s := new(packSet)
	most := 0.0
	for i := range packs {
		s.Add(id(i))
		if i%2 == 1 {
			s.Add(id(i / 2)) // again
		}
		if i%(packs/8) == packs/8-1 {
			most = max(most, float64(heap()-before)/float64(i+1))
		}
	}
	if most > 24 {
		t.Errorf("%.1f bytes a pack", most)
	}
	if n := s.Len(); n != packs {
		t.Errorf("%d packs of %d", n, packs)
	}
	for i := range packs {
		if !s.Has(id(i)) || s.Flagged(id(i), spared) {
			t.Fatalf("pack %d is forgotten, or spared", i)
		}
	}
	s.Flag(id(7), spared)
	if !s.Flagged(id(7), spared) || s.Flagged(id(8), spared) || s.Has(ivd.PackID{1}) {
		t.Error("flags are of other packs")
	}
	t.Logf("%.1f bytes a pack", most)
}
