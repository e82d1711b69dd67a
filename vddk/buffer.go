package vddk

// #include <stdlib.h>
// #include <string.h>
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
// outside Go's heap and never moves. It must be freed, once, when no read or
// write on it is under way.
type Buffer struct {
	bytes []byte
}

// allocated are the buffers alive, by address: Read and Write refuse others, since
// the library keeps a buffer's address after the call that gave it.
var allocated struct {
	sync.RWMutex
	spans []span
}

type span struct{ from, to uintptr }

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
	from := uintptr(p)
	allocated.Lock()
	defer allocated.Unlock()
	i, _ := search(from)
	allocated.spans = slices.Insert(allocated.spans, i, span{from, from + uintptr(n)})
	return &Buffer{bytes: unsafe.Slice((*byte)(p), n)}
}

func search(from uintptr) (int, bool) {
	return slices.BinarySearchFunc(allocated.spans, from, func(s span, at uintptr) int { return cmp.Compare(s.from, at) })
}

// Bytes is the buffer's memory, valid until Free.
func (b *Buffer) Bytes() []byte { return b.bytes }

// Free gives the memory back. A second Free does nothing.
func (b *Buffer) Free() {
	if b.bytes == nil {
		return
	}
	p := unsafe.Pointer(unsafe.SliceData(b.bytes))
	allocated.Lock()
	if i, ok := search(uintptr(p)); ok {
		allocated.spans = slices.Delete(allocated.spans, i, i+1)
	}
	allocated.Unlock()
	b.bytes = nil
	C.free(p)
}

var (
	errForeignBuffer = errors.New("the buffer is not from vddk.Alloc")
	errUnaligned     = errors.New("the buffer's address and length must be multiples of 512")
)

// checkBuffer refuses what the library may not be given.
func checkBuffer(buf []byte) error {
	from := uintptr(unsafe.Pointer(unsafe.SliceData(buf)))
	if len(buf) == 0 || len(buf)%SectorSize != 0 || from%SectorSize != 0 {
		return errUnaligned
	}
	allocated.RLock()
	defer allocated.RUnlock()
	i, ok := search(from)
	if !ok {
		i--
	}
	if i < 0 || allocated.spans[i].to < from+uintptr(len(buf)) {
		return errForeignBuffer
	}
	return nil
}
