package vddk

// #include <stdint.h>
// #include <stdlib.h>
// #include <string.h>
// static void ivd_free_buffer(uintptr_t at) { free((void *)at); }
import "C"

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"unsafe"
)

// BufferAlignment is what HotAdd and UNBUFFERED writes ask for, and more.
const BufferAlignment = 4096

// Buffer is memory that the library may use while Go looks elsewhere: it lies
// outside Go's heap and never moves.
type Buffer struct {
	bytes  []byte
	memory *memory
}

// allocated are the buffers alive, by address: Read and Write refuse others, since
// the library keeps a buffer's address after the call that gave it.
var allocated struct {
	sync.RWMutex
	list []*memory
}

// memory is a buffer as the requests see it that use it.
type memory struct {
	from, to uintptr

	mu    sync.Mutex
	users int  // requests under way
	lost  bool // one was given up: the library may write into it for ever
	freed bool
}

// Alloc makes a zeroed buffer of n bytes at an address that is a multiple of
// BufferAlignment. It panics when there is no memory, as make does.
func Alloc(n int) *Buffer {
	if n <= 0 {
		panic("vddk: buffer without length")
	}
	var p unsafe.Pointer
	if C.posix_memalign(&p, BufferAlignment, C.size_t(n)) != 0 {
		panic("vddk: out of memory")
	}
	C.memset(p, 0, C.size_t(n))
	m := &memory{from: uintptr(p), to: uintptr(p) + uintptr(n)}
	allocated.Lock()
	defer allocated.Unlock()
	i, _ := search(m.from)
	allocated.list = slices.Insert(allocated.list, i, m)
	return &Buffer{bytes: unsafe.Slice((*byte)(p), n), memory: m}
}

func search(from uintptr) (int, bool) {
	return slices.BinarySearchFunc(allocated.list, from, func(m *memory, at uintptr) int { return cmp.Compare(m.from, at) })
}

// Bytes is the buffer's memory, valid until Free.
func (b *Buffer) Bytes() []byte { return b.bytes }

// Lost tells whether a read or write on the buffer was given up: its memory
// belongs to the library for ever, and Read and Write refuse it.
func (b *Buffer) Lost() bool {
	b.memory.mu.Lock()
	defer b.memory.mu.Unlock()
	return b.memory.lost
}

// Free gives the memory back, once no read or write on it is under way; never
// where the buffer is lost. A second Free does nothing.
func (b *Buffer) Free() {
	m := b.memory
	b.bytes = nil
	m.mu.Lock()
	first := !m.freed
	m.freed = true
	now := first && m.users == 0 && !m.lost
	m.mu.Unlock()
	if now {
		m.release()
	}
}

func (m *memory) release() {
	allocated.Lock()
	if i, ok := search(m.from); ok {
		allocated.list = slices.Delete(allocated.list, i, i+1)
	}
	allocated.Unlock()
	C.ivd_free_buffer(C.uintptr_t(m.from))
}

var (
	errForeignBuffer = errors.New("the buffer is not from vddk.Alloc")
	errLostBuffer    = errors.New("the buffer is the library's: a call that used it was given up")
	errUnaligned     = errors.New("the buffer's address and length must be multiples of 512")
)

// borrow refuses what the library may not be given, and keeps the rest from being
// freed until giveBack or lose.
func borrow(buf []byte) (*memory, error) {
	from := uintptr(unsafe.Pointer(unsafe.SliceData(buf)))
	if len(buf) == 0 || len(buf)%SectorSize != 0 || from%SectorSize != 0 {
		return nil, errUnaligned
	}
	m := holder(from, from+uintptr(len(buf)))
	if m == nil {
		return nil, errForeignBuffer
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.lost:
		return nil, errLostBuffer
	case m.freed:
		return nil, errForeignBuffer
	}
	m.users++
	return m, nil
}

func holder(from, to uintptr) *memory {
	allocated.RLock()
	defer allocated.RUnlock()
	i, ok := search(from)
	if !ok {
		i--
	}
	if i < 0 || allocated.list[i].to < to {
		return nil
	}
	return allocated.list[i]
}

func (m *memory) giveBack() {
	m.mu.Lock()
	m.users--
	now := m.freed && m.users == 0 && !m.lost
	m.mu.Unlock()
	if now {
		m.release()
	}
}

// lose leaves the memory to the library.
func (m *memory) lose() {
	m.mu.Lock()
	m.lost = true
	m.users--
	m.mu.Unlock()
}
