package budget

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/ivd"
)

func testLane(m *Memory, size int64, own, extra int) *Lane[int] {
	n := 0
	return NewLane(m, size, own, extra, func() int { n++; return n }, func(int) {})
}

func TestReservationLargerThanAllIsRefused(t *testing.T) {
	m := NewMemory(10<<20, nil)
	err := m.Reserve(t.Context(), 11<<20)
	if ivd.KindOf(err) != ivd.Invalid {
		t.Fatalf("err = %v", err)
	}
}

func TestWaitingReservationGoesBeforeExtras(t *testing.T) {
	m := NewMemory(100, nil)
	if err := m.Reserve(t.Context(), 50); err != nil {
		t.Fatal(err)
	}
	l := testLane(m, 10, 1, 5)
	var slots []*Slot[int]
	for range 3 {
		s, err := l.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, s)
	}
	if m.Used() != 70 { // one of its own, two extra
		t.Fatalf("used = %d", m.Used())
	}
	reserved := make(chan error)
	go func() { reserved <- m.Reserve(t.Context(), 50) }()
	for waiting := 0; waiting == 0; {
		m.mu.Lock()
		waiting = m.waiting
		m.mu.Unlock()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if s, err := l.Get(ctx); err == nil {
		t.Fatalf("an extra slot %v while a job waits for its reservation", s)
	}
	for _, s := range slots {
		l.Put(s)
	}
	if err := <-reserved; err != nil {
		t.Fatal(err)
	}
	if m.Used() != 100 || m.Peak() != 100 {
		t.Fatalf("used %d, peak %d", m.Used(), m.Peak())
	}
}

func TestClosedLaneGivesAllBack(t *testing.T) {
	m := NewMemory(100, nil)
	live := 0
	l := NewLane(m, 10, 2, 3, func() int { live++; return live }, func(int) { live-- })
	for range 5 {
		if _, err := l.Get(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	if m.Used() != 0 || live != 0 {
		t.Fatalf("used %d, %d values live", m.Used(), live)
	}
}

// Many jobs of two stages on a budget that holds two reservations: all come to an
// end, and the budget is never exceeded.
func TestJobsNeverBlockEachOther(t *testing.T) {
	const pieces, pack = 4, 16
	m := NewMemory(2*(2*pieces+pack)+pieces, nil)
	g, ctx := errgroup.WithContext(t.Context())
	for j := range 8 {
		g.Go(func() error {
			rnd := rand.New(rand.NewPCG(7, uint64(j)))
			if err := m.Reserve(ctx, 2*pieces+pack); err != nil {
				return err
			}
			defer m.Release(2*pieces + pack)
			small, large := testLane(m, pieces, 2, 9), testLane(m, pack, 1, 3)
			defer small.Close()
			defer large.Close()
			return playJob(ctx, rnd, small, large)
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if m.Used() != 0 || m.Peak() > m.total {
		t.Fatalf("used %d at the end, peak %d of %d", m.Used(), m.Peak(), m.total)
	}
}

// playJob is the shape of a backup: pieces are taken in order by a reader and
// given back by a filler, which holds a pack; full packs are given back by others.
func playJob(ctx context.Context, rnd *rand.Rand, small, large *Lane[int]) error {
	g, ctx := errgroup.WithContext(ctx)
	read := make(chan *Slot[int], 32)
	g.Go(func() error {
		defer close(read)
		for range 500 {
			s, err := small.Get(ctx)
			if err != nil {
				return err
			}
			read <- s
		}
		return nil
	})
	g.Go(func() error {
		var filling *Slot[int]
		for s := range read {
			if filling == nil {
				var err error
				if filling, err = large.Get(ctx); err != nil {
					return err
				}
			}
			small.Put(s)
			if rnd.IntN(8) == 0 {
				full := filling
				filling = nil
				g.Go(func() error { large.Put(full); return nil })
			}
		}
		return nil
	})
	return g.Wait()
}

// No more is computed at once than there are processors, and who waits for one
// hears of the end of its context.
func TestComputeIsBounded(t *testing.T) {
	m := NewMemory(100, nil)
	var working, most atomic.Int64
	var jobs sync.WaitGroup
	for range 20 * runtime.GOMAXPROCS(0) {
		jobs.Go(func() {
			if err := m.Compute(t.Context(), func() error {
				now := working.Add(1)
				for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
				}
				runtime.Gosched()
				working.Add(-1)
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	jobs.Wait()
	if n := most.Load(); n < 1 || n > int64(runtime.GOMAXPROCS(0)) {
		t.Errorf("%d at once on %d processors", n, runtime.GOMAXPROCS(0))
	}

	hold, held := make(chan struct{}), make(chan struct{}, runtime.GOMAXPROCS(0))
	for range runtime.GOMAXPROCS(0) {
		jobs.Go(func() {
			_ = m.Compute(t.Context(), func() error { held <- struct{}{}; <-hold; return nil })
		})
		<-held
	}
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := m.Compute(ctx, func() error { t.Error("computed without a processor"); return nil }); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
	close(hold)
	jobs.Wait()
}

// What is held is there already, and is waited for by nobody; jobs have so much less,
// and who can never have what it needs then is told, also while it waits.
func TestHeldMemory(t *testing.T) {
	t.Parallel()
	m := NewMemory(100, nil)
	if err := m.Reserve(t.Context(), 60); err != nil {
		t.Fatal(err)
	}
	waits := make(chan error)
	go func() { waits <- m.Reserve(t.Context(), 50) }()
	for waiting := 0; waiting == 0; {
		m.mu.Lock()
		waiting = m.waiting
		m.mu.Unlock()
	}
	m.Hold(60) // more than is free: it is there all the same
	if err := <-waits; !errors.Is(err, ErrTooLittle) {
		t.Errorf("who waits for more than is left: %v", err)
	}
	if err := m.Reserve(t.Context(), 41); !errors.Is(err, ErrTooLittle) {
		t.Errorf("more than is left: %v", err)
	}
	m.Release(60)
	if err := m.Reserve(t.Context(), 40); err != nil || m.Used() != 100 {
		t.Errorf("what is left: %v, %d in use", err, m.Used())
	}
	m.Release(40)
	m.Hold(-60)
	if err := m.Reserve(t.Context(), 100); err != nil || m.Used() != 100 {
		t.Errorf("all of it: %v, %d in use", err, m.Used())
	}
}
