package vddk

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BufferAlignment is in bytes, and no less than HotAdd and UNBUFFERED writes ask for.
const BufferAlignment = 4096

// Buffer is memory outside Go's heap, which never moves: the library may use it
// after the call that named it.
type Buffer struct {
	bytes  []byte
	memory *memory
}

// allocated lists the buffers by address. Read and Write refuse other memory.
var allocated struct {
	sync.RWMutex
	list []*memory
}

// memory counts the requests that use a buffer.
type memory struct {
	from, to uintptr
	mapped   []byte

	mu    sync.Mutex
	users int  // requests under way
	lost  bool // one was given up: the library may write into it for ever
	freed bool
}

// Alloc returns a zeroed buffer of n bytes at an address that is a multiple of
// BufferAlignment. It panics when there is no memory, as make does.
func Alloc(n int) *Buffer {
	if n <= 0 {
		panic("vddk: buffer without length")
	}
	// Of the kernel, since what the C library is given back it may keep for itself.
	bytes, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic("vddk: out of memory: " + err.Error())
	}
	from := uintptr(unsafe.Pointer(unsafe.SliceData(bytes)))
	m := &memory{from: from, to: from + uintptr(n), mapped: bytes}
	allocated.Lock()
	defer allocated.Unlock()
	i, _ := search(m.from)
	allocated.list = slices.Insert(allocated.list, i, m)
	return &Buffer{bytes: bytes, memory: m}
}

func search(from uintptr) (int, bool) {
	return slices.BinarySearchFunc(allocated.list, from, func(m *memory, at uintptr) int { return cmp.Compare(m.from, at) })
}

// Bytes returns the buffer's memory, which is valid until Free.
func (b *Buffer) Bytes() []byte { return b.bytes }

// Lost reports whether a read or write on the buffer was given up. The library may
// write into its memory for ever, so Read and Write refuse it.
func (b *Buffer) Lost() bool {
	b.memory.mu.Lock()
	defer b.memory.mu.Unlock()
	return b.memory.lost
}

// Free frees the memory once no read or write on it is under way. A lost buffer is
// never freed. A second Free does nothing.
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
	if err := unix.Munmap(m.mapped); err != nil {
		panic("vddk: give a buffer back: " + err.Error()) // it is no such mapping
	}
}

var (
	errForeignBuffer = errors.New("the buffer is not from vddk.Alloc")
	errLostBuffer    = errors.New("the buffer is the library's: a call that used it was given up")
	errUnaligned     = errors.New("the buffer's address and length must be multiples of 512")
)

// borrow returns the memory that buf lies in, which is not freed until giveBack or
// lose; an error when the library may not be given buf.
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

// lose leaves the memory to the library for ever.
func (m *memory) lose() {
	m.mu.Lock()
	m.lost = true
	m.users--
	m.mu.Unlock()
}
