package vddk_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"ivdmover/vddk"
)

// What the binding costs beside a plain pread loop, in CPU time of all threads,
// user and system (cpu-µs/op), and in allocations. The stranger's ReadAsync is a
// pread and a callback on the caller's thread: what it takes longer than the plain
// loop is the binding's. The laboratory's has a thread of its own for each handle,
// as the real one's nbdssl has, and shows the sum.
func BenchmarkRead(b *testing.B) {
	if os.Getenv(sceneDir) == "" {
		b.Run("stranger", benchmarkStranger)
	}
	path, _ := sparse(b, 256<<20, 1)
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	h := openFile(b, path, vddk.ReadOnly)
	for _, size := range []int{4 << 10, 1 << 20} {
		for _, flying := range []int{1, 4, 16} {
			b.Run(fmt.Sprintf("pread/%dKiB/%d", size>>10, flying), func(b *testing.B) {
				benchmarkPlain(b, f, size, flying, 256<<20)
			})
			b.Run(fmt.Sprintf("vddk/%dKiB/%d", size>>10, flying), func(b *testing.B) {
				benchmarkRead(b, func(buf []byte, at int64) error { return h.Read(buf, uint64(at/512)) }, size, flying, 256<<20)
			})
		}
	}
}

// benchmarkPlain is the loop to compare with: it takes as many buffers in turn, so
// that the processor's caches are used alike.
func benchmarkPlain(b *testing.B, f *os.File, size, flying int, span int64) {
	b.SetBytes(int64(size))
	b.ReportAllocs()
	buffers := make([][]byte, flying)
	for i := range buffers {
		buffers[i] = alloc(b, size)
	}
	before := cpu(b)
	b.ResetTimer()
	for i := range b.N {
		if _, err := f.ReadAt(buffers[i%flying], int64(i)*int64(size)%span); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
}

// benchmarkStranger runs these benchmarks once more, with the stranger.
func benchmarkStranger(b *testing.B) {
	cmd := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkRead$", "-test.benchtime=2000x", "-test.benchmem")
	cmd.Env = append(os.Environ(), childMark+"=tests", sceneDir+"="+stranger(b))
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	for line := range bytes.Lines(out) {
		if bytes.HasPrefix(line, []byte("BenchmarkRead/")) {
			b.Logf("stranger %s", bytes.TrimSpace(line))
		}
	}
}

func benchmarkRead(b *testing.B, read func([]byte, int64) error, size, flying int, span int64) {
	b.SetBytes(int64(size))
	b.ReportAllocs()
	buffers := make([][]byte, flying)
	for w := range buffers {
		buffers[w] = alloc(b, size)
		if err := read(buffers[w], 0); err != nil { // whatever is made once, is
			b.Fatal(err)
		}
	}
	before := cpu(b)
	b.ResetTimer()
	var group sync.WaitGroup
	for w, buf := range buffers {
		group.Go(func() {
			for i := w; i < b.N; i += flying {
				if err := read(buf, int64(i)*int64(size)%span); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
}

// cpu is what the process has used, on all its threads.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A host that takes 2 ms for each request: what several in flight are for.
func BenchmarkLatency(b *testing.B) {
	p := startPort(b, make([]byte, 32<<20))
	p.set(func() { p.latency = 2 * time.Millisecond })
	h := openDisk(b, p.params(), "6f9e", vddk.ReadOnly, "nbdssl")
	for _, flying := range []int{1, 4, 16} {
		b.Run(fmt.Sprint(flying), func(b *testing.B) {
			benchmarkRead(b, func(buf []byte, at int64) error { return h.Read(buf, uint64(at/512)) }, 64<<10, flying, 32<<20)
		})
	}
}

// Connecting, opening, reading, closing and disconnecting.
func BenchmarkCycle(b *testing.B) {
	path, _ := sparse(b, 1<<20, 4)
	buf := alloc(b, 4096)
	for b.Loop() {
		c, err := lib.Connect(vddk.Params{}, true, "")
		if err != nil {
			b.Fatal(err)
		}
		h, err := c.Open(path, vddk.ReadOnly)
		if err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(h.Read(buf, 0), h.Close(), c.Disconnect()); err != nil {
			b.Fatal(err)
		}
	}
}
