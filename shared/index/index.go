// Package index remembers where contents lie, so that what is stored already is
// not stored again: what it is told, and what it finds in the directories of packs to which
// hooks lead.
//
// It promises a place that was told to it for exactly that content, within the
// memory that it was given. To forget costs space in the bucket, never
// correctness; a store that fails costs the same. What it is told must be stored already,
// and lie in packs that may be named under the lease that the index is used for: it judges
// nothing. Safe for concurrent use.
package index

import (
	"encoding/binary"
	"sync"
	"time"

	"ivdmover/shared/ivd"
)

// Index remembers the contents that were used last.
//
// Contents are found by the first 8 bytes of their ids, which are as good as
// random; of two that agree in them the later one is remembered.
type Index struct {
	mu     sync.Mutex
	index  map[uint64]uint32
	blocks []*[block]known // grown block by block, so that growing copies nothing
	len    uint32
	max    uint32
	newest uint32 // ends of the list by use, when len > 0
	oldest uint32

	sparse  Sparse
	loading map[ivd.PackID]*load
	tokens  chan struct{} // of directories that are being loaded
	rest    time.Time     // until when no directory is loaded
}

type known struct {
	id           ivd.ContentID
	at           Found
	newer, older uint32 // neighbours in the list by use
}

// Found is where a content lies.
type Found struct {
	ivd.Place
	Unproven bool // nobody has opened the frames of the pack, and it is another writer's
}

const (
	block = 1024
	// knownBytes is what an entry costs: 116 bytes, and its share of the map, which may be half full.
	knownBytes = 176
)

// New makes an index that takes so much memory at the most, beside that of the hooks that
// it follows.
func New(bytes int64, s Sparse) *Index {
	n := uint32(min(max(0, bytes/knownBytes), 1<<31))
	return &Index{index: map[uint64]uint32{}, max: n, sparse: s, loading: map[ivd.PackID]*load{}, tokens: make(chan struct{}, loadsAtOnce)}
}

func (x *Index) at(i uint32) *known { return &x.blocks[i/block][i%block] }

func key(id ivd.ContentID) uint64 { return binary.LittleEndian.Uint64(id[:]) }

// Find returns where a content lies, if that is remembered.
func (x *Index) Find(id ivd.ContentID) (Found, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.findLocked(id)
}

func (x *Index) findLocked(id ivd.ContentID) (Found, bool) {
	i, ok := x.index[key(id)]
	if !ok || x.at(i).id != id {
		return Found{}, false
	}
	x.use(i)
	return x.at(i).at, true
}

// Add remembers where a content lies that this process has stored itself.
func (x *Index) Add(id ivd.ContentID, place ivd.Place) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.addLocked(id, Found{Place: place})
}

func (x *Index) addLocked(id ivd.ContentID, at Found) {
	if x.max == 0 {
		return
	}
	if i, ok := x.index[key(id)]; ok {
		e := x.at(i)
		e.id, e.at = id, at
		x.use(i)
		return
	}
	var i uint32
	if x.len < x.max {
		i = x.len
		if int(i/block) == len(x.blocks) {
			x.blocks = append(x.blocks, new([block]known))
		}
		if x.len++; x.len == 1 {
			x.newest, x.oldest = i, i
		}
		*x.at(i) = known{newer: i, older: i}
		x.front(i)
	} else {
		i = x.oldest
		delete(x.index, key(x.at(i).id))
		x.use(i)
	}
	e := x.at(i)
	e.id, e.at = id, at
	x.index[key(id)] = i
}

// use moves an entry to the list's newest end.
func (x *Index) use(i uint32) {
	if i == x.newest {
		return
	}
	e := x.at(i)
	x.at(e.newer).older = e.older
	if i == x.oldest {
		x.oldest = e.newer
	} else {
		x.at(e.older).newer = e.newer
	}
	x.front(i)
}

func (x *Index) front(i uint32) {
	e := x.at(i)
	e.older = x.newest
	x.at(x.newest).newer = i
	x.newest = i
}
