package pipeline

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// incidents are what may end an attempt, besides its end. The attempt's disk and
// context come from begin.
type incidents struct {
	rnd  *rand.Rand
	left int // attempts that may still be spoiled
}

// begin spoils an attempt on a disk: a fault after some calls, an end of the
// process after some calls, a request to stop, or nothing.
func (i *incidents) begin(ctx context.Context, d *memoryDisk) (context.Context, *spoiled, chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	s := &spoiled{memoryDisk: d, cancel: cancel, stop: make(chan struct{})}
	if i.left > 0 {
		i.left--
		at := 1 + i.rnd.IntN(60)
		switch i.rnd.IntN(3) {
		case 0:
			d.faults = at
		case 1:
			s.cancelAt = at
		case 2:
			s.stopAt = at
		}
	}
	return ctx, s, s.stop
}

// spoiled is a disk on which something happens at a certain call.
type spoiled struct {
	*memoryDisk
	cancel           func()
	stop             chan struct{}
	cancelAt, stopAt int
	calls            int
}

func (s *spoiled) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.calls == s.cancelAt {
		s.cancel()
	}
	if s.calls == s.stopAt {
		close(s.stop)
	}
}

func (s *spoiled) ReadAt(ctx context.Context, buf []byte, off int64) error {
	s.count()
	return s.memoryDisk.ReadAt(ctx, buf, off)
}

func (s *spoiled) WriteAt(ctx context.Context, buf []byte, off int64) error {
	s.count()
	return s.memoryDisk.WriteAt(ctx, buf, off)
}

func expected(err error) bool {
	return err == nil || errors.Is(err, errInjected) || errors.Is(err, context.Canceled) || errors.Is(err, ErrStopped)
}

// Any content, any changes, any way to find them, any number of attempts that end
// in any way, each gone on with by another process: what comes back is what was
// there.
func TestWhatIsBackedUpComesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		rnd := rand.New(rand.NewPCG(seed, 1))
		cs := rapid.SampledFrom([]int64{64 << 10, 256 << 10, 1 << 20}).Draw(rt, "chunk size")
		spans := rapid.Int64Range(1, 5).Draw(rt, "spans")
		capacity := max(sector, (spans*ivd.ChunksPerSpan*cs-rnd.Int64N(ivd.ChunksPerSpan*cs))/sector*sector)
		if rapid.IntRange(0, 7).Draw(rt, "several pages") == 0 {
			capacity += ivd.SpansPerPage * ivd.ChunksPerSpan * cs
		}
		request := rapid.SampledFrom([]int64{0, 64 << 10, 192 << 10, 1 << 20, 2 << 20, 4 << 20}).Draw(rt, "request")
		options := rapid.SampledFrom([]repo.InitOptions{{}, encrypted}).Draw(rt, "repository")
		b := newBenchWith(t, rapid.Int64Range(NeedMemory(ivd.Geometry{ChunkSize: cs}, request, format.PackSize), 100<<20).Draw(rt, "memory"), options)
		b.request = request
		b.limits = Limits{Bytes: rapid.Int64Range(1, 8<<20).Draw(rt, "batch")}
		g := ivd.Geometry{Capacity: capacity, ChunkSize: cs}
		d := newMemoryDisk(capacity)
		var points []*point
		for range rapid.IntRange(1, 4).Draw(rt, "generations") {
			areas := d.fill(rnd, rapid.IntRange(0, 30).Draw(rt, "writes"))
			spec := job.BackupSpec{Unread: job.UnreadZero, Allocated: true}
			if n := len(points); n > 0 {
				spec.Parent = points[rnd.IntN(n)].parent()
			}
			if n := len(points); n > 0 && rapid.Bool().Draw(rt, "changed areas") {
				spec = job.BackupSpec{Unread: job.UnreadParent, Parent: points[n-1].parent(), Spans: marked(g, areas)}
			}
			points = append(points, b.backupWithIncidents(rt, rnd, g, d, spec))
		}
		for _, p := range points {
			b.restoreWithIncidents(rt, rnd, p)
		}
	})
}

func (b *bench) backupWithIncidents(rt *rapid.T, rnd *rand.Rand, g ivd.Geometry, d *memoryDisk, spec job.BackupSpec) *point {
	l := b.lease(repo.WriteLease)
	j := b.job(l, g, spec)
	rec := b.record(j)
	in := &incidents{rnd, rapid.IntRange(0, 4).Draw(rt, "incidents")}
	w := b.writer(l)
	for attempts := 0; rec.State != job.Done; attempts++ {
		if attempts > 10 {
			rt.Fatalf("no end after %d attempts", attempts)
		}
		if rnd.IntN(2) == 0 { // another process; sometimes another coordinator
			if rnd.IntN(3) == 0 {
				l = b.lease(repo.WriteLease)
				j.Lease = l.ID
			}
			w = b.writer(l)
		}
		ctx, s, stop := in.begin(rt.Context(), d)
		if err := b.attempt(ctx, w, j, &rec, s, stop); !expected(err) {
			rt.Fatalf("attempt: %v", err)
		}
		d.faults = 0
	}
	return b.commit(l, j, &rec, d)
}

func (b *bench) restoreWithIncidents(rt *rapid.T, rnd *rand.Rand, p *point) {
	d := newMemoryDisk((p.Geometry.Capacity + 1<<20 - 1) &^ (1<<20 - 1))
	j := b.restoreJob(p, true)
	if j == nil {
		if len(p.disk.blocks) > 0 && differs(p.disk, d) != "" {
			rt.Fatal("a point without pages of a disk with content")
		}
		return
	}
	var rec job.Record
	in := &incidents{rnd, rapid.IntRange(0, 3).Draw(rt, "restore's incidents")}
	for attempts := 0; rec.State != job.Done; attempts++ {
		if attempts > 10 {
			rt.Fatalf("no end after %d attempts", attempts)
		}
		ctx, s, stop := in.begin(rt.Context(), d)
		if err := b.restoreAttempt(ctx, *j, &rec, s, stop); !expected(err) {
			rt.Fatalf("restore: %v", err)
		}
		d.faults = 0
	}
	if diff := differs(p.disk, d); diff != "" || d.dirty {
		rt.Fatalf("restore of %s: %s; unflushed: %t", p.ID, diff, d.dirty)
	}
}
