// Package pread reads a file by a loop of pread in C: what BenchmarkRead of package
// vddk compares the binding with. It runs in the binding's process and reads into
// the same buffers, since where memory lies makes more of a difference than what is
// measured. It serves benchmarks only: cgo cannot be used in a test file.
package pread

/*
#cgo CFLAGS: -std=gnu11 -O2 -Wall -Wextra
#include <stdlib.h>
#include <unistd.h>

static void loop(int fd, void **buffers, int count, size_t size, off_t span, int reads) {
	for (int i = 0; i < reads; i++)
		if (pread(fd, buffers[i % count], size, i * (off_t)size % span) != (ssize_t)size)
			abort();
}
*/
import "C"

import "unsafe"

// Loop reads so many times, one after the other, the first span bytes of a file
// again and again, into one buffer after the other. The buffers are memory of C, of
// one size; span is a multiple of it. A read that fails ends the process.
func Loop(fd uintptr, buffers [][]byte, span int64, reads int) {
	list := make([]unsafe.Pointer, len(buffers))
	for i, b := range buffers {
		list[i] = unsafe.Pointer(unsafe.SliceData(b))
	}
	C.loop(C.int(fd), &list[0], C.int(len(list)), C.size_t(len(buffers[0])), C.off_t(span), C.int(reads))
}
