package api

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"ivdmover/coordinator/run"
	"ivdmover/shared/pause"
)

// views yields n views, one every gap, the last of them ended; then it stays
// silent for the given time.
func views(ctx context.Context, n int, gap, silent time.Duration) iter.Seq2[run.View, error] {
	return func(yield func(run.View, error) bool) {
		_ = pause.For(ctx, silent)
		for i := range n {
			v := run.View{Run: run.Run{State: run.Running, Beat: uint64(i)}}
			if i == n-1 {
				v.State = run.Done
			}
			if !yield(v, nil) || pause.For(ctx, gap) != nil {
				return
			}
		}
	}
}

func TestStreamThinsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var beats []uint64
		began := time.Now()
		stream(t.Context(), views(t.Context(), 1000, 10*time.Millisecond, 0),
			func(v run.View, _ error) error { beats = append(beats, v.Beat); return nil },
			func() error { t.Error("alive was called"); return nil })
		most := int(time.Since(began)/eventGap) + 2
		if len(beats) > most || len(beats) < most/2 || beats[0] != 0 || beats[len(beats)-1] != 999 {
			t.Errorf("%d lines of at most %d: %v", len(beats), most, beats)
		}
	})
}

func TestStreamSaysThatItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alive := 0
		stream(t.Context(), views(t.Context(), 1, 0, time.Minute),
			func(run.View, error) error { return nil },
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
		stream(ctx, views(ctx, 100, time.Second, 0), func(run.View, error) error {
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
		failing := func(yield func(run.View, error) bool) { yield(run.View{}, broken) }
		stream(ctx, failing, func(_ run.View, err error) error {
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
