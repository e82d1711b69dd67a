package index

import (
	"encoding/binary"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"ivdmover/shared/ivd"
)

func packOf(i int) (id ivd.PackID) {
	binary.LittleEndian.PutUint64(id[:], uint64(i+1)*0xd6e8feb86659fd93)
	return id
}

func idsOf(list []int) []ivd.ContentID {
	ids := make([]ivd.ContentID, len(list))
	for i, n := range list {
		ids[i] = idOf(n + 1)
	}
	return ids
}

// modelPack is a pack as a list would remember it.
type modelPack struct {
	pack   int
	hooks  []int
	proven bool
}

// The sparse index is what a list of packs by age would be, whatever is added at which end,
// proven and forgotten.
func TestHooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(0, 12).Draw(t, "size")
		h := NewHooks(int64(size) * packBytes)
		var list []modelPack // the oldest first
		next := 0
		for range rapid.IntRange(0, 120).Draw(t, "steps") {
			hooks := rapid.SliceOfNDistinct(rapid.IntRange(0, 30), 1, perPack, rapid.ID).Draw(t, "hooks")
			switch rapid.SampledFrom([]string{"newer", "older", "again", "prove", "forget", "find"}).Draw(t, "step") {
			case "newer":
				if h.AddNewer(packOf(next), idsOf(hooks)); size > 0 {
					list = append(list, modelPack{pack: next, hooks: hooks})
					list = list[max(0, len(list)-size):]
				}
				next++
			case "older":
				if room := h.AddOlder(packOf(next), idsOf(hooks)); room != (len(list) < size) && size > 0 {
					t.Fatalf("room for an older pack: %t, and there are %d of %d", room, len(list), size)
				}
				if len(list) < size {
					list = slices.Insert(list, 0, modelPack{pack: next, hooks: hooks})
				}
				next++
			case "again":
				for _, p := range list {
					if len(p.hooks) > 0 {
						h.AddNewer(packOf(p.pack), idsOf(p.hooks))
					}
				}
			case "prove":
				var packs []ivd.PackID
				for i := range list {
					if rapid.Bool().Draw(t, "proven") {
						list[i].proven = true
						packs = append(packs, packOf(list[i].pack))
					}
				}
				h.Prove(append(packs, packOf(1<<20)))
			case "forget":
				h.Forget(idOf(hooks[0]+1), packOf(1<<20)) // of a pack that it does not know
				for i := range list {
					if slices.Contains(list[i].hooks, hooks[0]) {
						h.Forget(idOf(hooks[0]+1), packOf(list[i].pack))
						list[i].hooks = nil
						break
					}
				}
			case "find":
				for i := range 31 {
					want, proven := -1, false
					for _, p := range list {
						if slices.Contains(p.hooks, i) && (p.proven || !proven) {
							want, proven = p.pack, p.proven
						}
					}
					got, ok := h.Find(idOf(i + 1))
					if ok != (want >= 0) || ok && (got.Pack != packOf(want) || got.Proven != proven) {
						t.Fatalf("content %d: %v, %t, want pack %d, proven %t", i, got, ok, want, proven)
					}
				}
			}
			if h.Len() != len(list) {
				t.Fatalf("%d packs, want %d", h.Len(), len(list))
			}
		}
	})
}

// However many packs there are, no more memory is taken than was given.
func TestHooksKeepWithinTheirMemory(t *testing.T) {
	const given = 8 << 20
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	h := NewHooks(given)
	const packs = 3 * given / packBytes
	ids := make([]ivd.ContentID, perPack)
	for i := range packs {
		for n := range ids {
			ids[n] = idOf(i*perPack + n + 1)
		}
		h.AddNewer(packOf(i), ids)
	}
	for i := range packs {
		h.Prove([]ivd.PackID{packOf(i)})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if took := int64(after.HeapAlloc) - int64(before.HeapAlloc); took > given+given/50 {
		t.Errorf("%d bytes are taken, and %d were given", took, int64(given))
	}
	if n := h.Len(); n < given/packBytes-1 {
		t.Errorf("only %d packs are remembered", n)
	}
	if c, ok := h.Find(idOf((packs-1)*perPack + 1)); !ok || !c.Proven || c.Pack != packOf(packs-1) {
		t.Error("the newest pack is not found")
	}
	runtime.KeepAlive(h)
}
