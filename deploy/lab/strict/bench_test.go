package strict_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"ivdmover/deploy/lab/script"
	"ivdmover/vddk"
)

// Reads of 1 MiB over nbdssl from hosts that take 2 ms for each request: what
// several in flight are for, and where the session's four NFC buffers of 1 MiB, which
// VMware recommends, end it.
func BenchmarkInFlight(b *testing.B) {
	const size = 64 * mib
	w := newWorld(b, size)
	fill := make([]byte, size)
	for off := 0; off < size; off += 8 * mib {
		w.guest(fill, int64(off), rand.Uint64(), 8*mib)
	}
	h := mustOpen(b, w.at(w.snapshot()), vddk.ReadOnly, "nbdssl")
	must(b, script.WriteHosts(w.dir, script.Hosts{Latency: script.Duration(2 * time.Millisecond)}))
	for _, request := range []int{64 << 10, mib} {
		for _, flying := range []int{1, 4, 16} {
			b.Run(fmt.Sprintf("%dKiB/%d", request>>10, flying), func(b *testing.B) {
				benchmarkReads(b, h, request, flying, size)
			})
		}
	}
}

func benchmarkReads(b *testing.B, h *vddk.Handle, request, flying int, size int64) {
	b.SetBytes(int64(request))
	var group sync.WaitGroup
	for first := range flying {
		buffer := vddk.Alloc(request)
		defer buffer.Free()
		group.Go(func() {
			for i := first; i < b.N; i += flying {
				if err := h.Read(buffer.Bytes(), uint64(int64(i)*int64(request)%size/512)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
