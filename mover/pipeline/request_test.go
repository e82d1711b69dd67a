package pipeline

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// watched is a disk that tells what it was asked for. Its first requests wait until
// as many are in flight as are expected.
type watched struct {
	*memoryDisk
	expect int

	mu      sync.Mutex
	under   int
	most    int
	sizes   map[int64]int   // how often each was asked for
	asked   map[int64]int64 // sizes by offset
	arrived chan struct{}   // closed when as many were there as are expected
}

func newWatched(d *memoryDisk, expect int) *watched {
	return &watched{memoryDisk: d, expect: expect, sizes: map[int64]int{}, asked: map[int64]int64{}, arrived: make(chan struct{})}
}

func (w *watched) begin(ctx context.Context, n int, off int64) error {
	w.mu.Lock()
	w.under++
	if w.under > w.most {
		if w.most = w.under; w.most == w.expect {
			close(w.arrived)
		}
	}
	w.sizes[int64(n)]++
	w.asked[off] = int64(n)
	w.mu.Unlock()
	select {
	case <-w.arrived:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *watched) end() {
	w.mu.Lock()
	w.under--
	w.mu.Unlock()
}

func (w *watched) ReadAt(ctx context.Context, buf []byte, off int64) error {
	defer w.end()
	if err := w.begin(ctx, len(buf), off); err != nil {
		return err
	}
	return w.memoryDisk.ReadAt(ctx, buf, off)
}

func (w *watched) WriteAt(ctx context.Context, buf []byte, off int64) error {
	defer w.end()
	if err := w.begin(ctx, len(buf), off); err != nil {
		return err
	}
	return w.memoryDisk.WriteAt(ctx, buf, off)
}

// check fails unless a disk without a gap was asked for in requests of one size, at
// its multiples, and as many at once as may be. Where chunks are in different packs
// they are written apart: shorter, but never across a multiple.
func (w *watched) check(t *testing.T, what string, total, request int64, apart bool) {
	t.Helper()
	whole := w.sizes[request]
	if w.most != w.expect || !apart && whole != int(total/request) || whole < int(total/request)*2/3 {
		t.Errorf("%s: sizes %v, %d at once; want %d of %d, %d at once", what, w.sizes, w.most, total/request, request, w.expect)
	}
	for off, n := range w.asked {
		if off%request+n > request {
			t.Errorf("%s: a request of %d at %d", what, n, off)
		}
	}
}

// A disk is read and written with requests of the size that its transport wants, and
// as many at once, whatever its chunks are.
func TestRequestsAreAsTheTransportWants(t *testing.T) {
	const size = 16 << 20
	d := newMemoryDisk(size)
	if err := d.WriteAt(t.Context(), noise(3, size), 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name           string
		chunk, request int64
		depth          int
		want           int64
	}{
		{"NBD", ivd.DefaultChunkSize, 1 << 20, 8, 1 << 20},
		{"SAN and HotAdd", ivd.DefaultChunkSize, 2 << 20, 2, 2 << 20},
		{"chunks larger than a request", 8 << 20, 1 << 20, 8, 1 << 20},
		{"nobody says", ivd.MinChunkSize, 0, 0, requestSize},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			b := newBench(t, 256<<20)
			b.depth, b.request = c.depth, c.request
			expect := c.depth
			if expect == 0 {
				expect = inFlight
			}
			l := b.lease(repo.WriteLease)
			j := b.job(l, ivd.Geometry{Capacity: size, ChunkSize: c.chunk}, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
			rec := b.record(j)
			from := newWatched(d, expect)
			if err := b.attempt(ctx, b.writer(l), j, &rec, from, nil); err != nil {
				t.Fatal(err)
			}
			from.check(t, "reads", size, c.want, false)
			p := b.commit(l, j, &rec, d)
			to := newWatched(newMemoryDisk(size), expect)
			var restored job.Record
			if err := b.restoreAttempt(ctx, *b.restoreJob(p, true), &restored, to, nil); err != nil {
				t.Fatal(err)
			}
			to.check(t, "writes", size, c.want, true)
			if diff := differs(d, to.memoryDisk); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Larger requests need more memory, and what a job reserves is enough for it.
func TestMemoryFollowsTheRequest(t *testing.T) {
	g := ivd.Geometry{Capacity: 20 << 20, ChunkSize: ivd.DefaultChunkSize}
	small, large := NeedMemory(g, 1<<20, format.PackSize), NeedMemory(g, 2<<20, format.PackSize)
	if want := small + ownPieces*(2<<20+4*slack); large != want {
		t.Errorf("%d bytes for requests of 2 MiB, want %d", large, want)
	}
	b := newBench(t, large) // not a byte more
	b.request = 2 << 20
	d := newMemoryDisk(g.Capacity)
	if err := d.WriteAt(t.Context(), noise(4, int(g.Capacity)), 0); err != nil {
		t.Fatal(err)
	}
	p, _ := b.backup(d, g.ChunkSize, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	b.restore(p)
	if b.memory.Peak() != large {
		t.Errorf("the peak was %d of %d", b.memory.Peak(), large)
	}
}

// A job that can never have its memory says what to set, to how much.
func TestTooLittleMemorySaysHowMuch(t *testing.T) {
	g := ivd.Geometry{Capacity: 20 << 20, ChunkSize: ivd.DefaultChunkSize}
	need := BackupMemory(g, 0, format.PackSize)
	b := newBench(t, need-1)
	err := Backup{
		Job:        job.Job{Geometry: g, Backup: &job.BackupSpec{Pages: []ivd.PageIndex{0}, Allocated: true}},
		Repository: b.repo, Memory: b.memory,
	}.Run(t.Context())
	want := fmt.Sprintf("set mover.memory to %d MiB", (need+1<<20-1)>>20)
	if ivd.KindOf(err) != ivd.Invalid || !strings.Contains(ivd.RemedyOf(err), want) {
		t.Errorf("%v, remedy %q, want %q", err, ivd.RemedyOf(err), want)
	}
}
