package collect

import (
	"bytes"
	"slices"
	"sort"
	"sync"

	"ivdmover/shared/ivd"
)

// packSet is a set of packs that takes about 13 bytes for each: what a collection holds
// in memory of a repository. Of an id it keeps 96 bits. Two that agree in so many are
// taken for one, which spares a pack that could have gone. It is safe for concurrent use.
type packSet struct{ shards [256]shard }

// entry is the 11 bytes of an id that follow its first, and flags.
type entry [12]byte

const flags = 11 // where an entry has them

// flagged is a flag of an entry.
type flagged byte

const (
	spared flagged = 1 << iota // some point needs it that is not on the list
	member                     // it was added, and not only said to be proven
	proven                     // every frame of it was opened
)

// shard holds the packs whose ids begin alike.
type shard struct {
	mu     sync.Mutex
	sorted []entry // in order, each once
	fresh  []entry // added since, in no order, perhaps again
}

func entryOf(id ivd.PackID) (e entry) {
	copy(e[:flags], id[1:])
	return e
}

func compareEntries(a, b entry) int { return bytes.Compare(a[:flags], b[:flags]) }

// Add adds a pack.
func (s *packSet) Add(id ivd.PackID) { s.put(id, member) }

// Prove takes note that a pack is proven, which adds none.
func (s *packSet) Prove(id ivd.PackID) { s.put(id, proven) }

func (s *packSet) put(id ivd.PackID, f flagged) {
	h := &s.shards[id[0]]
	h.mu.Lock()
	defer h.mu.Unlock()
	e := entryOf(id)
	e[flags] = byte(f)
	if i := h.find(e); i >= 0 {
		h.sorted[i][flags] |= byte(f)
		return
	}
	h.fresh = append(h.fresh, e)
	if len(h.fresh) > 64+len(h.sorted)/8 {
		h.settle()
	}
}

// Has reports whether a pack was added.
func (s *packSet) Has(id ivd.PackID) bool { return s.Flagged(id, member) }

// Flag sets a flag of a pack that is known, and does nothing where it is not.
func (s *packSet) Flag(id ivd.PackID, f flagged) {
	h := &s.shards[id[0]]
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settle()
	if i := h.find(entryOf(id)); i >= 0 {
		h.sorted[i][flags] |= byte(f)
	}
}

// Flagged reports whether a pack is known and has a flag.
func (s *packSet) Flagged(id ivd.PackID, f flagged) bool {
	h := &s.shards[id[0]]
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settle()
	i := h.find(entryOf(id))
	return i >= 0 && h.sorted[i][flags]&byte(f) != 0
}

// Len is how many packs are known.
func (s *packSet) Len() (n int64) {
	for i := range s.shards {
		h := &s.shards[i]
		h.mu.Lock()
		h.settle()
		n += int64(len(h.sorted))
		h.mu.Unlock()
	}
	return n
}

// find is where an entry is in order; below zero where it is not.
func (h *shard) find(e entry) int {
	i := sort.Search(len(h.sorted), func(i int) bool { return compareEntries(h.sorted[i], e) >= 0 })
	if i < len(h.sorted) && compareEntries(h.sorted[i], e) == 0 {
		return i
	}
	return -1
}

// settle puts what was added in order, into room that is just large enough.
func (h *shard) settle() {
	if len(h.fresh) == 0 {
		return
	}
	slices.SortFunc(h.fresh, compareEntries)
	fresh := h.fresh[:1]
	for _, e := range h.fresh[1:] {
		if last := &fresh[len(fresh)-1]; compareEntries(*last, e) == 0 {
			last[flags] |= e[flags]
			continue
		}
		fresh = append(fresh, e)
	}
	all := make([]entry, 0, len(h.sorted)+len(fresh))
	old := h.sorted
	for len(old) > 0 && len(fresh) > 0 {
		if compareEntries(old[0], fresh[0]) < 0 {
			all, old = append(all, old[0]), old[1:]
		} else {
			all, fresh = append(all, fresh[0]), fresh[1:]
		}
	}
	h.sorted = append(append(all, old...), fresh...)
	h.fresh = nil
}
