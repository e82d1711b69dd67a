package index

import (
	"encoding/binary"
	"runtime"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"ivdmover/shared/ivd"
)

func idOf(i int) (id ivd.ContentID) {
	binary.LittleEndian.PutUint64(id[:], uint64(i)*0x9e3779b97f4a7c15)
	id[31] = byte(i)
	return id
}

// The index is what a list of contents by use would be.
func TestIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(0, 20).Draw(t, "size")
		m := New(int64(size)*knownBytes, Sparse{})
		var order []int // the newest last
		place := map[int]uint32{}
		use := func(i int) {
			order = append(slices.DeleteFunc(order, func(x int) bool { return x == i }), i)
		}
		for step := range rapid.IntRange(0, 200).Draw(t, "steps") {
			i := rapid.IntRange(0, 30).Draw(t, "content")
			if rapid.Bool().Draw(t, "add") {
				m.Add(idOf(i), ivd.Place{Offset: uint32(step)})
				use(i)
				place[i] = uint32(step)
				if len(order) > size {
					order = order[1:]
				}
				continue
			}
			got, ok := m.Find(idOf(i))
			if want := slices.Contains(order, i); ok != want || ok && got.Offset != place[i] {
				t.Fatalf("content %d: %t at %d, want %t at %d", i, ok, got.Offset, want, place[i])
			}
			if ok {
				use(i)
			}
		}
		if len(m.index) != len(order) {
			t.Fatalf("%d contents remembered, want %d", len(m.index), len(order))
		}
	})
}

// Two contents that agree in 8 bytes are never taken for each other.
func TestCollision(t *testing.T) {
	m := New(1<<20, Sparse{})
	a, b := idOf(1), idOf(1)
	b[30] = 7
	m.Add(a, ivd.Place{Offset: 1})
	if _, ok := m.Find(b); ok {
		t.Fatal("one content is taken for another")
	}
	m.Add(b, ivd.Place{Offset: 2})
	if p, ok := m.Find(b); !ok || p.Offset != 2 {
		t.Fatal("the later one is not remembered")
	}
	if _, ok := m.Find(a); ok {
		t.Fatal("one content is taken for another")
	}
}

func TestConcurrent(t *testing.T) {
	m := New(5000*knownBytes, Sparse{})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 20_000 {
				n := i*4 + g
				m.Add(idOf(n), ivd.Place{Offset: uint32(n)})
				if p, ok := m.Find(idOf(n / 2)); ok && p.Offset != uint32(n/2) {
					t.Errorf("content %d lies at %d", n/2, p.Offset)
				}
			}
		})
	}
	wg.Wait()
	if m.len != 5000 || len(m.index) != 5000 {
		t.Fatalf("%d entries, %d found", m.len, len(m.index))
	}
}

// However much it is told, and however full its map happens to be, the index takes no more
// memory than it was given.
func TestIndexKeepsWithinItsMemory(t *testing.T) {
	for _, given := range []int64{2 << 20, 3 << 20, 5 << 20, 7 << 20, 8 << 20} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		m := New(given, Sparse{})
		for i := range 3 * given / knownBytes {
			m.Add(idOf(int(i+1)), ivd.Place{Offset: uint32(i)})
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if took := int64(after.HeapAlloc) - int64(before.HeapAlloc); took > given+given/50 {
			t.Errorf("%d bytes are taken, and %d were given", took, given)
		}
		runtime.KeepAlive(m)
	}
}
