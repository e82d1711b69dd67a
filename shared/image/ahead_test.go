package image

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ivdmover/shared/ivd"
)

// count yields 0 to n-1, and says how many were asked for and not taken.
func count(n int, refused *atomic.Int32) func(context.Context) iter.Seq2[int, error] {
	return func(context.Context) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					refused.Add(1)
					return
				}
			}
		}
	}
}

// The results come in order, whichever is ready first, and so many at once are worked
// on.
func TestAheadKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refused, working, most atomic.Int32
		f := func(_ context.Context, i int) (int, error) {
			most.Store(max(most.Load(), working.Add(1)))
			time.Sleep(time.Duration(10-i%10) * time.Second)
			working.Add(-1)
			return i * i, nil
		}
		var got []int
		for v, err := range ahead(t.Context(), 5, count(40, &refused), f, nothing) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, v)
		}
		for i, v := range got {
			if v != i*i {
				t.Fatalf("result %d is %d", i, v)
			}
		}
		if len(got) != 40 || refused.Load() != 0 || most.Load() < 5 || most.Load() > 7 {
			t.Errorf("%d results, %d refused, %d at once", len(got), refused.Load(), most.Load())
		}
	})
}

// The first error in order is what is told, and ends it; what was made beyond it is
// dropped, and nothing works on.
func TestAheadEndsWithTheFirstError(t *testing.T) {
	bad := errors.New("bad")
	for name, in := range map[string]func(context.Context) iter.Seq2[int, error]{
		"of a call": count(20, new(atomic.Int32)),
		"of what is worked on": func(context.Context) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				for i := range 7 {
					if !yield(i, nil) {
						return
					}
				}
				yield(0, bad)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var made, dropped, taken atomic.Int32
				f := func(_ context.Context, i int) (int, error) {
					if i == 7 {
						return 0, bad
					}
					time.Sleep(time.Duration(i) * time.Second)
					made.Add(1)
					return i, nil
				}
				var last error
				for _, err := range ahead(t.Context(), 4, in, f, func(int) { dropped.Add(1) }) {
					if last = err; err == nil {
						taken.Add(1)
					}
				}
				if !errors.Is(last, bad) || taken.Load() != 7 || made.Load() != taken.Load()+dropped.Load() {
					t.Errorf("%v; %d made, %d taken, %d dropped", last, made.Load(), taken.Load(), dropped.Load())
				}
			})
		})
	}
}

// Who breaks off, or whose context ends, waits for nothing but what is under way; an
// end by the context never looks like the end of what there was to do.
func TestAheadBreaksOff(t *testing.T) {
	why := errors.New("why")
	synctest.Test(t, func(t *testing.T) {
		var refused, made, dropped atomic.Int32
		f := func(ctx context.Context, i int) (int, error) {
			select {
			case <-time.After(time.Second):
				made.Add(1)
				return i, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		drop := func(int) { dropped.Add(1) }
		for v, err := range ahead(t.Context(), 4, count(1<<30, &refused), f, drop) {
			if err != nil {
				t.Fatal(err)
			}
			if v == 5 {
				break
			}
		}
		if refused.Load() != 1 || made.Load() != 6+dropped.Load() {
			t.Errorf("%d refused; %d made, %d dropped of those that were not taken", refused.Load(), made.Load(), dropped.Load())
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(5*time.Second+1, func() { cancel(why) })
		var last error
		for _, err := range ahead(ctx, 4, count(1<<30, &refused), f, drop) {
			last = err
		}
		if !errors.Is(last, why) {
			t.Errorf("ended by %v", last)
		}
		for _, err := range ahead(ctx, 4, count(3, &refused), f, drop) { // it has ended before
			if !errors.Is(err, why) {
				t.Errorf("ended by %v", err)
			}
		}
	})
}

// What is asked for by many at once is read once; what was used last is kept, within
// the bytes; an error is not kept.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache[int](100)
		var loads atomic.Int32
		load := func(v int, cost int64) func(context.Context) (int, int64, error) {
			return func(context.Context) (int, int64, error) {
				loads.Add(1)
				time.Sleep(time.Second)
				return v, cost, nil
			}
		}
		get := func(i byte, v int, cost int64) {
			t.Helper()
			if got, err := c.get(t.Context(), ivd.ContentID{i}, load(v, cost)); err != nil || got != v {
				t.Errorf("%d: %d, %v", i, got, err)
			}
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { get(1, 11, 40) })
		}
		wg.Wait()
		get(2, 22, 40)
		get(1, 11, 40)
		get(3, 33, 40)  // 2 goes
		get(4, 44, 101) // larger than all there is: nothing goes
		get(1, 11, 40)
		get(3, 33, 40)
		if n := loads.Load(); n != 4 || c.used != 80 || len(c.entries) != 2 {
			t.Errorf("%d loads; %d bytes of %d kept", n, c.used, len(c.entries))
		}
		get(2, 22, 40)
		if n := loads.Load(); n != 5 {
			t.Errorf("%d loads: what was used longest ago was kept", n)
		}
		get(5, 55, 20) // fits to the byte
		get(3, 33, 40)
		get(6, 66, 100) // all others go
		get(6, 66, 100)
		if n := loads.Load(); n != 7 || c.used != 100 || len(c.entries) != 1 {
			t.Errorf("%d loads; %d bytes of %d kept", n, c.used, len(c.entries))
		}
	})
}

// Who waits for another's attempt does not inherit its failure, and does not wait
// beyond its own context.
func TestCacheKeepsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, bad := newCache[int](100), errors.New("bad")
		var errs [3]error
		var wg sync.WaitGroup
		attempt := func(i int, ctx context.Context, err error) {
			wg.Go(func() {
				_, errs[i] = c.get(ctx, ivd.ContentID{1}, func(context.Context) (int, int64, error) {
					time.Sleep(10 * time.Second)
					return 1, 1, err
				})
			})
			synctest.Wait()
		}
		attempt(0, t.Context(), bad)
		attempt(1, t.Context(), nil)
		short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		attempt(2, short, nil)
		wg.Wait()
		if !errors.Is(errs[0], bad) || errs[1] != nil || !errors.Is(errs[2], context.DeadlineExceeded) {
			t.Errorf("%v", slices.Collect(slices.Values(errs[:])))
		}
	})
}
