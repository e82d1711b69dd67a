package vddk_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"ivdmover/vddk"
	"ivdmover/vddk/pread"
)

// order is what BenchmarkRead asks a process of its own for: rounds in which plain
// loops of pread and the binding read the same in turn, so that whatever else the
// machine does falls on all.
type order struct {
	Size, Flying, Rounds int
}

// price is for each read. CPU is that of all threads, user and system, in µs; the
// middle of all rounds.
type price struct {
	Plain          float64 // a loop in C
	Added          float64 // the binding's beyond that
	AddedToGo      float64 // the binding's beyond a loop in Go
	Wall           float64 // of the binding's
	Allocs, Memory float64 // the binding's, on Go's heap
}

const (
	priceFile = "IVD_VDDK_TEST_FILE"
	priceSpan = 64 << 20 // the file's size
)

// perRound is how many reads make a round long beside what measuring it takes.
func (o order) perRound() int { return max(64, 4<<20/o.Size) }

// priceScene answers orders until there are no more. It reads the file of the
// library at sceneDir.
func priceScene() error {
	path := os.Getenv(priceFile)
	l, err := vddk.Load(vddk.Options{LibDir: os.Getenv(sceneDir)})
	if err != nil {
		return err
	}
	c, h, err := openPath(l, path)
	if err != nil {
		return err
	}
	orders, prices := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		p, err := measure(o, path, h)
		if err := errors.Join(err, prices.Encode(p)); err != nil {
			return err
		}
	}
	err = errors.Join(h.Close(), c.Disconnect())
	l.Exit()
	return err
}

func measure(o order, path string, h *vddk.Handle) (p price, err error) {
	k := newCrew(o, h)
	defer k.end()
	file, err := os.Open(path)
	if err != nil {
		return p, err
	}
	defer file.Close()
	inC := func(reads int) { pread.Loop(file.Fd(), k.memory(), priceSpan, reads) }
	inGo := func(reads int) {
		for i := range reads {
			if _, err := file.ReadAt(k.buffers[i%o.Flying].Bytes(), o.offset(i)); err != nil {
				panic(err)
			}
		}
	}
	inC(o.Flying) // whatever is made once, is
	var plain, added, toGo []float64
	for range o.Rounds {
		c, goes, bound := o.cost(inC), o.cost(inGo), k.round(&p)
		plain, added, toGo = append(plain, c), append(added, bound-c), append(toGo, bound-goes)
	}
	p.Plain, p.Added, p.AddedToGo = middle(plain), middle(added), middle(toGo)
	for _, sum := range []*float64{&p.Wall, &p.Allocs, &p.Memory} {
		*sum /= float64(o.Rounds * o.perRound())
	}
	return p, nil
}

// cost is the CPU time of each of a round's reads, in µs.
func (o order) cost(round func(reads int)) float64 {
	before := cpu()
	round(o.perRound())
	return float64(cpu()-before) / 1e3 / float64(o.perRound())
}

func middle(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// crew reads with so many goroutines at once as requests are to be in flight. They
// are there from the start, so that nothing of them is counted.
type crew struct {
	order
	buffers []*vddk.Buffer
	begin   []chan struct{}
	ended   sync.WaitGroup
}

func newCrew(o order, h *vddk.Handle) *crew {
	k := &crew{order: o}
	for w := range o.Flying {
		k.buffers = append(k.buffers, vddk.Alloc(o.Size))
		k.begin = append(k.begin, make(chan struct{}))
		go func() {
			for range k.begin[w] {
				for i := w; i < o.perRound(); i += o.Flying {
					if err := h.Read(k.buffers[w].Bytes(), uint64(k.offset(i)/vddk.SectorSize)); err != nil {
						panic(err)
					}
				}
				k.ended.Done()
			}
		}()
	}
	k.round(&price{}) // whatever is made once, is
	return k
}

func (k *crew) memory() (list [][]byte) {
	for _, b := range k.buffers {
		list = append(list, b.Bytes())
	}
	return list
}

func (o order) offset(i int) int64 { return int64(i) * int64(o.Size) % priceSpan }

// round is the CPU time of each read; the rest it adds to p.
func (k *crew) round(p *price) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	k.ended.Add(k.Flying)
	start, from := time.Now(), cpu()
	for _, begin := range k.begin {
		begin <- struct{}{}
	}
	k.ended.Wait()
	used := cpu() - from
	p.Wall += float64(time.Since(start))
	runtime.ReadMemStats(&after)
	p.Allocs += float64(after.Mallocs - before.Mallocs)
	p.Memory += float64(after.TotalAlloc - before.TotalAlloc)
	return float64(used) / 1e3 / float64(k.perRound())
}

func (k *crew) end() {
	for w, begin := range k.begin {
		close(begin)
		k.buffers[w].Free()
	}
}

// cpu is what the process has used, on all its threads.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
