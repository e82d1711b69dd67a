package disk

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/deploy/lab/script"
	"ivdmover/mover/disk/disktest"
	"ivdmover/shared/job"
)

// BenchmarkRequests reads a disk of the laboratory with requests of several sizes, as
// many at once as its transport's tuning says, where each request takes 2 ms.
func BenchmarkRequests(b *testing.B) {
	dir := b.TempDir()
	refs, _, cookie, v := labDisks(b, startLab(b, dir, 1))
	snapshot, err := v.CreateSnapshot(b.Context(), refs[0], "bench")
	if err != nil {
		b.Fatal(err)
	}
	if err := script.WriteHosts(dir, script.Hosts{
		Latency: script.Duration(2 * time.Millisecond), HotAdd: script.Pace{Latency: script.Duration(2 * time.Millisecond)},
		Proxies: []script.Proxy{{BIOSUUID: disktest.Proxy, VM: "lab-vm-1", FreeSlots: 1}},
	}); err != nil {
		b.Fatal(err)
	}
	for _, mode := range []string{hotadd, nbdssl} {
		h, err := NewHost(lib, Options{Transports: []string{mode}, Machine: ThisMachine(disktest.Proxy, []string{})})
		if err != nil {
			b.Fatal(err)
		}
		for _, size := range []int64{1 << 20, 2 << 20, 4 << 20} {
			b.Run(fmt.Sprintf("%s/%dMiB", mode, size>>20), func(b *testing.B) {
				d, err := h.Open(b.Context(), Spec{Disk: job.IVD(refs[0]), Snapshot: snapshot, Login: cookie})
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(d.Capacity())
				for b.Loop() {
					readWhole(b, h, d, size)
				}
				if err := d.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
	if err := v.DeleteSnapshot(b.Context(), refs[0], snapshot); err != nil {
		b.Error(err)
	}
}

func readWhole(b *testing.B, h *Host, d *Disk, size int64) {
	var next atomic.Int64
	var readers sync.WaitGroup
	for range d.Tuning().Depth {
		readers.Go(func() {
			buf := h.Alloc(int(size))
			defer buf.Free()
			for {
				off := next.Add(size) - size
				if off >= d.Capacity() {
					return
				}
				if err := d.ReadAt(b.Context(), buf.Bytes(), off); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	readers.Wait()
}
