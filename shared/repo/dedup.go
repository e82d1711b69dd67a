package repo

import (
	"encoding/binary"
	"sync"

	"ivdmover/shared/ivd"
)

// memory remembers where contents lie, the ones used last, in a bounded space.
// To forget costs space in the bucket, never correctness.
//
// Contents are found by the first 8 bytes of their ids, which are as good as
// random; of two that agree in them the later one is remembered.
type memory struct {
	mu     sync.Mutex
	index  map[uint64]uint32
	blocks []*[memoryBlock]known // grown block by block, so that growing copies nothing
	len    uint32
	max    uint32
	newest uint32 // ends of the list by use, when len > 0
	oldest uint32
}

type known struct {
	id           ivd.ContentID
	place        ivd.Place
	newer, older uint32 // neighbours in the list by use
}

const (
	memoryBlock = 1024
	// knownBytes is what an entry costs: 112 bytes, and its share of the index.
	knownBytes = 144
)

func newMemory(bytes int64) *memory {
	n := uint32(min(max(0, bytes/knownBytes), 1<<31))
	return &memory{index: map[uint64]uint32{}, max: n}
}

func (m *memory) at(i uint32) *known { return &m.blocks[i/memoryBlock][i%memoryBlock] }

func key(id ivd.ContentID) uint64 { return binary.LittleEndian.Uint64(id[:]) }

func (m *memory) find(id ivd.ContentID) (ivd.Place, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, ok := m.index[key(id)]
	if !ok || m.at(i).id != id {
		return ivd.Place{}, false
	}
	m.use(i)
	return m.at(i).place, true
}

func (m *memory) add(id ivd.ContentID, place ivd.Place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.max == 0 {
		return
	}
	if i, ok := m.index[key(id)]; ok {
		e := m.at(i)
		e.id, e.place = id, place
		m.use(i)
		return
	}
	var i uint32
	if m.len < m.max {
		i = m.len
		if int(i/memoryBlock) == len(m.blocks) {
			m.blocks = append(m.blocks, new([memoryBlock]known))
		}
		if m.len++; m.len == 1 {
			m.newest, m.oldest = i, i
		}
		*m.at(i) = known{newer: i, older: i}
		m.front(i)
	} else {
		i = m.oldest
		delete(m.index, key(m.at(i).id))
		m.use(i)
	}
	e := m.at(i)
	e.id, e.place = id, place
	m.index[key(id)] = i
}

// use moves an entry to the list's newest end.
func (m *memory) use(i uint32) {
	if i == m.newest {
		return
	}
	e := m.at(i)
	m.at(e.newer).older = e.older
	if i == m.oldest {
		m.oldest = e.newer
	} else {
		m.at(e.older).newer = e.newer
	}
	m.front(i)
}

func (m *memory) front(i uint32) {
	e := m.at(i)
	e.older = m.newest
	m.at(m.newest).newer = i
	m.newest = i
}
