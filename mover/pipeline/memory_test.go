package pipeline

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/ivd"
)

func testLane(m *Memory, size int64, own, extra int) *lane[int] {
	n := 0
	return newLane(m, size, own, extra, func() int { n++; return n }, func(int) {})
}

func TestReservationLargerThanAllIsRefused(t *testing.T) {
	m := NewMemory(10<<20, nil)
	err := m.reserve(t.Context(), 11<<20)
	if ivd.KindOf(err) != ivd.Invalid || ivd.RemedyOf(err) == "" {
		t.Fatalf("err = %v", err)
	}
}

func TestWaitingReservationGoesBeforeExtras(t *testing.T) {
	m := NewMemory(100, nil)
	if err := m.reserve(t.Context(), 50); err != nil {
		t.Fatal(err)
	}
	l := testLane(m, 10, 1, 5)
	var slots []*slot[int]
	for range 3 {
		s, err := l.get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, s)
	}
	if m.Used() != 70 { // one of its own, two extra
		t.Fatalf("used = %d", m.Used())
	}
	reserved := make(chan error)
	go func() { reserved <- m.reserve(t.Context(), 50) }()
	for waiting := 0; waiting == 0; {
		m.mu.Lock()
		waiting = m.waiting
		m.mu.Unlock()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if s, err := l.get(ctx); err == nil {
		t.Fatalf("an extra slot %v while a job waits for its reservation", s)
	}
	for _, s := range slots {
		l.put(s)
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
	l := newLane(m, 10, 2, 3, func() int { live++; return live }, func(int) { live-- })
	for range 5 {
		if _, err := l.get(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	l.close()
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
			if err := m.reserve(ctx, 2*pieces+pack); err != nil {
				return err
			}
			defer m.release(2*pieces + pack)
			small, large := testLane(m, pieces, 2, 9), testLane(m, pack, 1, 3)
			defer small.close()
			defer large.close()
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
func playJob(ctx context.Context, rnd *rand.Rand, small, large *lane[int]) error {
	g, ctx := errgroup.WithContext(ctx)
	read := make(chan *slot[int], 32)
	g.Go(func() error {
		defer close(read)
		for range 500 {
			s, err := small.get(ctx)
			if err != nil {
				return err
			}
			read <- s
		}
		return nil
	})
	g.Go(func() error {
		var filling *slot[int]
		for s := range read {
			if filling == nil {
				var err error
				if filling, err = large.get(ctx); err != nil {
					return err
				}
			}
			small.put(s)
			if rnd.IntN(8) == 0 {
				full := filling
				filling = nil
				g.Go(func() error { large.put(full); return nil })
			}
		}
		return nil
	})
	return g.Wait()
}
