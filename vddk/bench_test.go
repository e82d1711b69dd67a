package vddk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ivdmover/vddk"
)

// What the binding costs beside a plain pread loop, in CPU time of all threads, user
// and system, and in allocations: added-cpu-µs/op beside a loop in C, which itself
// takes plain-cpu-µs/op, added-to-go-cpu-µs/op beside one of os.File.ReadAt, as a
// program in Go has it. The stranger's ReadAsync is a pread and a callback on the caller's
// thread: what it takes longer than the loop is the binding's. The laboratory's has
// a thread of its own for each handle, as the real one's nbdssl has, and shows the
// sum.
//
// On one core the figures are the binding's. On all of them, most is what the
// machine takes to wake a core that sleeps.
func BenchmarkRead(b *testing.B) {
	path := filepath.Join(b.TempDir(), "disk.raw")
	if err := os.WriteFile(path, make([]byte, priceSpan), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, library := range []struct{ name, libdir string }{{"stranger", stranger(b)}, {"laboratory", libdir()}} {
		for _, cores := range []string{"one-core", "all-cores"} {
			b.Run(library.name+"/"+cores, func(b *testing.B) {
				benchmarkPrices(b, library.libdir, path, cores == "one-core")
			})
		}
	}
}

func benchmarkPrices(b *testing.B, libdir, path string, pinned bool) {
	ask := startPrices(b, libdir, path, pinned)
	for _, size := range []int{4 << 10, 1 << 20} {
		for _, flying := range []int{1, 4, 16} {
			b.Run(fmt.Sprintf("%dKiB/%d", size>>10, flying), func(b *testing.B) {
				b.ReportAllocs()
				p := ask(order{Size: size, Flying: flying, Rounds: b.N})
				b.ReportMetric(p.Wall, "ns/op")
				b.ReportMetric(p.Allocs, "allocs/op")
				b.ReportMetric(p.Memory, "B/op")
				b.ReportMetric(p.Plain, "plain-cpu-µs/op")
				b.ReportMetric(p.Added, "added-cpu-µs/op")
				b.ReportMetric(p.AddedToGo, "added-to-go-cpu-µs/op")
			})
		}
	}
}

// startPrices starts a process with the library, and gives what asks it.
func startPrices(b *testing.B, libdir, path string, pinned bool) func(order) price {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(vddk.Environment(libdir), childMark+"=price", sceneDir+"="+libdir, priceFile+"="+path)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := start(cmd, pinned); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			b.Error(err)
		}
	})
	orders, prices := json.NewEncoder(in), json.NewDecoder(out)
	return func(o order) (p price) {
		if err := errors.Join(orders.Encode(o), prices.Decode(&p)); err != nil {
			b.Fatal(err)
		}
		return p
	}
}

// start starts a program, on one core alone where it is to be pinned: it inherits
// what the thread has that starts it.
func start(cmd *exec.Cmd, pinned bool) error {
	if !pinned {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	for core := 0; one.Count() == 0; core++ {
		if all.IsSet(core) {
			one.Set(core)
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return err
	}
	return errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &all))
}

// A host that takes 2 ms for each request: what several in flight are for.
func BenchmarkLatency(b *testing.B) {
	p := startPort(b, make([]byte, 32<<20))
	p.set(func() { p.latency = 2 * time.Millisecond })
	h := openDisk(b, p.params(), "6f9e", vddk.ReadOnly, "nbdssl")
	for _, flying := range []int{1, 4, 16} {
		b.Run(fmt.Sprint(flying), func(b *testing.B) {
			b.SetBytes(64 << 10)
			b.ReportAllocs()
			var group sync.WaitGroup
			for w := range flying {
				buf := alloc(b, 64<<10)
				group.Go(func() {
					for i := w; i < b.N; i += flying {
						if err := h.Read(buf, uint64(i%512*128)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
		})
	}
}

// Connecting, opening, reading, closing and disconnecting.
func BenchmarkCycle(b *testing.B) {
	path, _ := sparse(b, 1<<20, 4)
	buf := alloc(b, 4096)
	for b.Loop() {
		c, err := lib.Connect(context.Background(), vddk.Params{}, true, "")
		if err != nil {
			b.Fatal(err)
		}
		h, err := c.Open(context.Background(), path, vddk.ReadOnly)
		if err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(h.Read(buf, 0), h.Close(), c.Disconnect()); err != nil {
			b.Fatal(err)
		}
	}
}
