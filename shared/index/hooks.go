package index

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"slices"
	"sync"

	"ivdmover/shared/ivd"
)

// Hooks are the sparse index of a whole repository: a few contents of each pack, the
// newest packs first, as many as there is memory for. Nobody vouches for them: a hook that
// lies costs who follows it a request. Safe for concurrent use.
//
// Packs lie in a ring by their age. Their hooks are found by 8 bytes each, by a table with
// open addressing; it is keyed at random, so that who names hooks cannot make it slow.
type Hooks struct {
	seed maphash.Seed
	max  int // packs

	mu    sync.Mutex
	packs []hooked // the ring; made with the first pack
	keys  []uint64 // perPack of each pack, in its place; 0: none
	table []uint32 // places in keys, plus 1; 0: none
	first int      // the oldest pack
	len   int
	order []uint32 // places of the packs in the order of their ids; nil: not sorted since one was added
}

type hooked struct {
	id     ivd.PackID
	proven bool
}

const (
	perPack = 4
	// packBytes is what a pack costs: 33 bytes for itself, 32 for its hooks, 4 for its
	// order, 22 for its share of the table, which is three quarters full.
	packBytes = 33 + 8*perPack + 4 + 22
)

// NewHooks makes an empty sparse index that takes so much memory at the most.
func NewHooks(bytes int64) *Hooks {
	return &Hooks{seed: maphash.MakeSeed(), max: int(min(max(0, bytes/packBytes), 1<<28))}
}

// Candidate is a pack that a hook says to have a content.
type Candidate struct {
	Pack   ivd.PackID
	Proven bool // every frame of it was opened
}

// AddNewer remembers a pack that is newer than all others; the oldest is forgotten where
// there is no room. Of its contents the first four count.
func (h *Hooks) AddNewer(pack ivd.PackID, ids []ivd.ContentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	keys, fresh := h.freshLocked(pack, ids)
	if !fresh {
		return
	}
	if h.len == h.max {
		h.dropLocked(h.first)
		h.first = (h.first + 1) % h.max
		h.len--
	}
	h.putLocked((h.first+h.len)%h.max, pack, keys)
}

// AddOlder remembers a pack that is older than all others, and reports whether there was
// room for it.
func (h *Hooks) AddOlder(pack ivd.PackID, ids []ivd.ContentID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	keys, fresh := h.freshLocked(pack, ids)
	switch {
	case !fresh:
		return h.len < h.max
	case h.len == h.max:
		return false
	}
	h.first = (h.first + h.max - 1) % h.max
	h.putLocked(h.first, pack, keys)
	return true
}

// freshLocked makes keys of a pack's hooks, and reports whether the pack is to be added.
func (h *Hooks) freshLocked(pack ivd.PackID, ids []ivd.ContentID) (keys [perPack]uint64, fresh bool) {
	if h.max == 0 || len(ids) == 0 {
		return keys, false
	}
	if h.packs == nil {
		h.packs, h.keys = make([]hooked, h.max), make([]uint64, perPack*h.max)
		h.table = make([]uint32, perPack*h.max+perPack*h.max/3+1)
	}
	for i, id := range ids[:min(len(ids), perPack)] {
		keys[i] = h.key(id)
	}
	for at := range h.matches(keys[0]) {
		if h.packs[at/perPack].id == pack {
			return keys, false
		}
	}
	return keys, true
}

func (h *Hooks) key(id ivd.ContentID) uint64 { return max(1, maphash.Bytes(h.seed, id[:])) }

// slot is where a key is looked for first.
func (h *Hooks) slot(key uint64) int {
	hi, _ := bits.Mul64(key, uint64(len(h.table)))
	return int(hi)
}

func (h *Hooks) next(slot int) int {
	if slot++; slot == len(h.table) {
		return 0
	}
	return slot
}

// matches yields the places in keys that have a key.
func (h *Hooks) matches(key uint64) func(func(int) bool) {
	return func(yield func(int) bool) {
		if len(h.table) == 0 {
			return
		}
		for s := h.slot(key); h.table[s] != 0; s = h.next(s) {
			if at := int(h.table[s] - 1); h.keys[at] == key && !yield(at) {
				return
			}
		}
	}
}

func (h *Hooks) putLocked(place int, pack ivd.PackID, keys [perPack]uint64) {
	h.packs[place] = hooked{id: pack}
	for i, key := range keys {
		at := place*perPack + i
		if h.keys[at] = key; key == 0 {
			continue
		}
		s := h.slot(key)
		for h.table[s] != 0 {
			s = h.next(s)
		}
		h.table[s] = uint32(at + 1)
	}
	h.len++
	h.order = nil
}

// dropLocked takes a pack's hooks away; its place is free then.
func (h *Hooks) dropLocked(place int) {
	for i := range perPack {
		at := place*perPack + i
		if h.keys[at] != 0 {
			h.unhookLocked(at)
			h.keys[at] = 0
		}
	}
}

// unhookLocked takes a hook out of the table. What follows it moves up, so that it is found
// as before (Knuth, The Art of Computer Programming 3, 6.4, algorithm R).
func (h *Hooks) unhookLocked(at int) {
	s := h.slot(h.keys[at])
	for h.table[s] != uint32(at+1) {
		s = h.next(s)
	}
	hole := s
	for s = h.next(s); h.table[s] != 0; s = h.next(s) {
		home := h.slot(h.keys[h.table[s]-1])
		if (s-home+len(h.table))%len(h.table) >= (s-hole+len(h.table))%len(h.table) {
			h.table[hole], hole = h.table[s], s
		}
	}
	h.table[hole] = 0
}

// Find returns the pack that a hook says to have a content: a proven one before others, and
// the newest of those.
func (h *Hooks) Find(id ivd.ContentID) (c Candidate, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	best := -1
	for at := range h.matches(h.key(id)) {
		p := h.packs[at/perPack]
		age := (at/perPack - h.first + h.max) % h.max
		if ok && (c.Proven && !p.proven || c.Proven == p.proven && age < best) {
			continue
		}
		c, ok, best = Candidate{p.id, p.proven}, true, age
	}
	return c, ok
}

// Forget forgets the hooks of the pack that one of them has led to: it lied.
func (h *Hooks) Forget(id ivd.ContentID, pack ivd.PackID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for at := range h.matches(h.key(id)) {
		if h.packs[at/perPack].id == pack {
			h.dropLocked(at / perPack)
			return
		}
	}
}

// Prove takes note that packs are proven, of which the sparse index may have some.
func (h *Hooks) Prove(packs []ivd.PackID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.order == nil {
		h.order = make([]uint32, h.len)
		for i := range h.order {
			h.order[i] = uint32((h.first + i) % h.max)
		}
		slices.SortFunc(h.order, func(a, b uint32) int { return bytes.Compare(h.packs[a].id[:], h.packs[b].id[:]) })
	}
	for _, id := range packs {
		i, found := slices.BinarySearchFunc(h.order, id, func(at uint32, id ivd.PackID) int { return bytes.Compare(h.packs[at].id[:], id[:]) })
		for ; found && i < len(h.order) && h.packs[h.order[i]].id == id; i++ {
			h.packs[h.order[i]].proven = true
		}
	}
}

// Len is how many packs it knows, those included whose hooks it has forgotten.
func (h *Hooks) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.len
}
