package api

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"ivdmover/shared/pause"
)

// changes yields n changes, one every gap, each of a disk of its own and of one that
// changes again and again, the last of them the run's end; before, it is silent for
// the given time.
func changes(ctx context.Context, n int, gap, silent time.Duration) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		_ = pause.For(ctx, silent)
		for i := range n {
			c := Change{Run: Run{State: Running, Counts: Counts{Done: i}}, Disks: []RunDisk{{Key: fmt.Sprint(i)}, {Key: "busy", Retries: i}}}
			if i == n-1 {
				c.Run.State = Done
			}
			if !yield(c, nil) || pause.For(ctx, gap) != nil {
				return
			}
		}
	}
}

func TestStreamThinsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shown []int
		disks, busy := map[string]int{}, 0
		began := time.Now()
		stream(t.Context(), changes(t.Context(), 1000, 10*time.Millisecond, 0),
			func(c Change, _ error) error {
				shown = append(shown, c.Run.Counts.Done)
				for _, d := range c.Disks {
					disks[d.Key]++
					if d.Key == "busy" {
						busy = d.Retries
					}
				}
				return nil
			},
			func() error { t.Error("alive was called"); return nil })
		most := int(time.Since(began)/eventGap) + 2
		if len(shown) > most || len(shown) < most/2 || shown[0] != 0 || shown[len(shown)-1] != 999 {
			t.Errorf("%d changes of at most %d: %v", len(shown), most, shown)
		}
		if len(disks) != 1001 || disks["500"] != 1 || disks["busy"] != len(shown) || busy != 999 {
			t.Errorf("%d disks were shown, one of them %d times, the busy one %d times of %d and last as %d", len(disks), disks["500"], disks["busy"], len(shown), busy)
		}
	})
}

func TestStreamSaysThatItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alive := 0
		stream(t.Context(), changes(t.Context(), 1, 0, time.Minute),
			func(Change, error) error { return nil },
			func() error { alive++; return nil })
		if alive < 3 || alive > 4 {
			t.Errorf("alive %d times within a minute", alive)
		}
	})
}

func TestStreamEnds(t *testing.T) {
	broken := errors.New("broken")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		lines := 0
		stream(ctx, changes(ctx, 100, time.Second, 0), func(Change, error) error {
			if lines++; lines == 3 {
				cancel()
			}
			return nil
		}, func() error { return nil })
		if lines != 3 {
			t.Errorf("%d lines after its context's end", lines)
		}
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		lines = 0
		failing := func(yield func(Change, error) bool) { yield(Change{}, broken) }
		stream(ctx, failing, func(_ Change, err error) error {
			lines++
			if !errors.Is(err, broken) {
				t.Errorf("%v", err)
			}
			return nil
		}, func() error { return nil })
		if lines != 1 {
			t.Errorf("a failure made %d lines", lines)
		}
	})
}
