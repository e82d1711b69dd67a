package vddk_test

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"ivdmover/vddk"
)

// What the binding and the library's thread cost over pread: for a size of request
// and a number in flight.
func BenchmarkRead(b *testing.B) {
	path, _ := sparse(b, 256<<20, 1)
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	h := openFile(b, path, vddk.ReadOnly)
	readers := map[string]func([]byte, int64) error{
		"pread": func(buf []byte, at int64) error { _, err := f.ReadAt(buf, at); return err },
		"vddk":  func(buf []byte, at int64) error { return h.Read(buf, uint64(at/512)) },
	}
	for _, size := range []int{4 << 10, 256 << 10, 1 << 20} {
		for _, flying := range []int{1, 4, 16} {
			for _, name := range []string{"pread", "vddk"} {
				b.Run(fmt.Sprintf("%s/%dKiB/%d", name, size>>10, flying), func(b *testing.B) {
					benchmarkRead(b, readers[name], size, flying)
				})
			}
		}
	}
}

func benchmarkRead(b *testing.B, read func([]byte, int64) error, size, flying int) {
	b.SetBytes(int64(size))
	var group sync.WaitGroup
	for w := range flying {
		buf := alloc(b, size)
		group.Go(func() {
			for i := w; i < b.N; i += flying {
				if err := read(buf, int64(i)*int64(size)%(256<<20)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}
