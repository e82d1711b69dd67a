package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"ivdmover/shared/budget"
	"ivdmover/shared/ivd"
)

// errInjected stands for whatever may go wrong with a disk.
var errInjected = errors.New("injected fault")

const sector = 512

// memoryDisk is a disk of any size of which only the blocks that were written
// take memory. Its blocks are of the smallest chunk's size.
type memoryDisk struct {
	capacity int64

	mu     sync.Mutex
	blocks map[int64][]byte // ivd.MinChunkSize each, not changed but replaced; absent: not allocated, zeros
	read   map[int64]int    // how often each block was read
	faults int              // calls until one fails; 0: none does
	wrote  int64
	dirty  bool // written and not flushed
}

func newMemoryDisk(capacity int64) *memoryDisk {
	return &memoryDisk{capacity: capacity, blocks: map[int64][]byte{}, read: map[int64]int{}}
}

func (d *memoryDisk) clone() *memoryDisk {
	c := newMemoryDisk(d.capacity)
	c.blocks = maps.Clone(d.blocks)
	return c
}

// each calls f for every piece of [off, off+n) that lies in one block.
func each(off int64, n int, f func(block int64, from, to, at int)) {
	for done := 0; done < n; {
		pos := off + int64(done)
		block, from := pos/ivd.MinChunkSize, int(pos%ivd.MinChunkSize)
		to := min(ivd.MinChunkSize, from+n-done)
		f(block, from, to, done)
		done += to - from
	}
}

func (d *memoryDisk) check(buf []byte, off int64) error {
	if off%sector != 0 || len(buf)%sector != 0 || off < 0 || off+int64(len(buf)) > d.capacity {
		return fmt.Errorf("%d bytes at %d of a disk of %d", len(buf), off, d.capacity)
	}
	if d.faults > 0 {
		if d.faults--; d.faults == 0 {
			return errInjected
		}
	}
	return nil
}

func (d *memoryDisk) ReadAt(ctx context.Context, buf []byte, off int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(buf, off); err != nil {
		return err
	}
	each(off, len(buf), func(block int64, from, to, at int) {
		d.read[block]++
		if b, ok := d.blocks[block]; ok {
			copy(buf[at:], b[from:to])
		} else {
			clear(buf[at : at+to-from])
		}
	})
	return ctx.Err()
}

func (d *memoryDisk) WriteAt(ctx context.Context, buf []byte, off int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(buf, off); err != nil {
		return err
	}
	d.wrote += int64(len(buf))
	d.dirty = true
	each(off, len(buf), func(block int64, from, to, at int) {
		b := make([]byte, ivd.MinChunkSize)
		copy(b, d.blocks[block])
		copy(b[from:to], buf[at:])
		d.blocks[block] = b
	})
	return ctx.Err()
}

func (d *memoryDisk) Flush(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dirty = false
	return nil
}

func (d *memoryDisk) Allocated(_ context.Context, e ivd.Extent, granularity int64) ([]ivd.Extent, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []ivd.Extent
	for off := e.Offset; off < e.End(); off += granularity {
		unit := ivd.Extent{Offset: off, Length: min(granularity, e.End()-off)}
		has := false
		each(unit.Offset, int(unit.Length), func(block int64, _, _, _ int) {
			_, ok := d.blocks[block]
			has = has || ok
		})
		if n := len(list); has && n > 0 && list[n-1].End() == off {
			list[n-1].Length += unit.Length
		} else if has {
			list = append(list, unit)
		}
	}
	return list, nil
}

// differs says where two disks differ; the longer one may end in zeros.
func differs(a, b *memoryDisk) string {
	zero := make([]byte, ivd.MinChunkSize)
	get := func(d *memoryDisk, i int64) []byte {
		if x, ok := d.blocks[i]; ok {
			return x
		}
		return zero
	}
	for _, d := range []*memoryDisk{a, b} {
		for i := range d.blocks {
			if !bytes.Equal(get(a, i), get(b, i)) {
				return fmt.Sprintf("block %d at %d differs", i, i*ivd.MinChunkSize)
			}
		}
	}
	return ""
}

// fill writes some blocks: noise, text that compresses, copies of other blocks,
// zeros. It returns the extents that it wrote.
func (d *memoryDisk) fill(rnd *rand.Rand, writes int) []ivd.Extent {
	var areas []ivd.Extent
	for range writes {
		n := int64(1+rnd.IntN(64)) * 8 * sector
		off := rnd.Int64N(d.capacity/sector) * sector
		if rnd.IntN(3) == 0 { // near each other, so that chunks lie together
			off = min(int64(rnd.IntN(40))*ivd.MinChunkSize, d.capacity-sector)
			n = ivd.MinChunkSize * int64(1+rnd.IntN(20))
		}
		n = min(n, d.capacity-off)
		buf := make([]byte, n)
		switch rnd.IntN(5) {
		case 0: // zeros
		case 1:
			copy(buf, bytes.Repeat(fmt.Appendf(nil, "a line of text, number %d\n", rnd.IntN(9)), int(n)/20))
		case 2: // the same at several places
			same := rand.New(rand.NewPCG(1, uint64(rnd.IntN(3))))
			for i := range buf {
				buf[i] = byte(same.Uint32())
			}
		default:
			for i := 0; i < len(buf); i += 8 {
				x := rnd.Uint64()
				for j := range min(8, len(buf)-i) {
					buf[i+j] = byte(x >> (8 * j))
				}
			}
		}
		if err := d.WriteAt(context.Background(), buf, off); err != nil {
			panic(err)
		}
		areas = append(areas, ivd.Extent{Offset: off, Length: n})
	}
	return areas
}

// heap hands out Go's memory as C's allocator does: whoever keeps a buffer that was
// freed finds another's content in it.
type heap struct {
	mu    sync.Mutex
	freed map[int][][]byte // by size
	live  int64
}

func (h *heap) alloc(n int) budget.Buffer {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.live += int64(n)
	if of := h.freed[n]; len(of) > 0 {
		h.freed[n] = of[:len(of)-1]
		return goBuffer{of[len(of)-1], h}
	}
	return goBuffer{make([]byte, n), h}
}

// goBuffer is a Buffer of a heap.
type goBuffer struct {
	b []byte
	h *heap
}

func (b goBuffer) Bytes() []byte { return b.b }

func (b goBuffer) Free() {
	b.h.mu.Lock()
	defer b.h.mu.Unlock()
	b.h.live -= int64(len(b.b))
	b.h.freed[len(b.b)] = append(b.h.freed[len(b.b)], b.b)
}

func testMemory(t testing.TB, total int64) *budget.Memory {
	h := &heap{freed: map[int][][]byte{}}
	m := budget.NewMemory(total, h.alloc)
	t.Cleanup(func() {
		if m.Used() != 0 || m.Peak() > total || h.live != 0 {
			t.Errorf("memory: %d used at the end, peak %d of %d, %d bytes of buffers not freed", m.Used(), m.Peak(), total, h.live)
		}
	})
	return m
}
