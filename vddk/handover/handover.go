// Package handover is what BenchmarkRead compares the binding with: a plain loop of
// pread, and two bare threads of which one reads for the other. Both are C, run in
// the process of the binding and read into the same buffers, since where memory
// lies makes more of a difference than what is measured.
//
// It serves benchmarks only, one at a time.
package handover

/*
#cgo CFLAGS: -std=gnu11 -Wall -Wextra
#cgo LDFLAGS: -pthread
#include "handover.h"
*/
import "C"

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// Desk is where reads of a file are done, the next by the next of its buffers.
type Desk struct {
	file *os.File
	c    *C.struct_desk
}

// New opens a file. The buffers are memory of C, of one size, and stay the caller's;
// the file's size is a multiple of theirs.
func New(path string, buffers [][]byte) (*Desk, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	c := C.desk_new(C.int(f.Fd()), C.size_t(len(buffers[0])), C.int(len(buffers)))
	if c == nil {
		return nil, fmt.Errorf("open a desk for %s: %w", path, syscall.ENOMEM)
	}
	for i, b := range buffers {
		C.desk_buffer(c, C.int(i), unsafe.Pointer(unsafe.SliceData(b)))
	}
	return &Desk{file: f, c: c}, nil
}

// Plain reads so many times.
func (d *Desk) Plain(reads int) { C.desk_plain(d.c, C.int(reads)) }

// HandOver has the other thread read so many times, one after the other.
func (d *Desk) HandOver(reads int) { C.desk_hand_over(d.c, C.int(reads)) }

// Close ends the other thread.
func (d *Desk) Close() error {
	C.desk_free(d.c)
	return d.file.Close()
}
