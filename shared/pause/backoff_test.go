package pause_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

var away = ivd.Errorf(ivd.Transient, "away")

// attempts calls b.Do with an f that fails always, and returns when each attempt
// began, and Do's error.
func attempts(ctx context.Context, b pause.Backoff, fails error) (at []time.Duration, err error) {
	begun := time.Now()
	err = b.Do(ctx, func(context.Context) error {
		at = append(at, time.Since(begun))
		return fails
	})
	return at, err
}

func TestAfterGrowsUpToTheCap(t *testing.T) {
	b := pause.Backoff{First: 250 * time.Millisecond, Cap: 3 * time.Second}
	want := []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second}
	for i, w := range want {
		if got := b.After(i + 1); got != w {
			t.Errorf("after failure %d: %s, want %s", i+1, got, w)
		}
	}
	if got := b.After(math.MaxInt); got != 3*time.Second {
		t.Errorf("after very many failures: %s", got)
	}
	b.Factor = 1.5
	if got := b.After(3); got != 562500*time.Microsecond {
		t.Errorf("by a half more each time: %s", got)
	}
}

// Jitter takes its share off a wait and never adds to it.
func TestJitterStaysWithinItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := pause.Backoff{
			First:  time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "first")),
			Cap:    time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "cap")),
			Factor: rapid.Float64Range(1, 10).Draw(t, "factor"),
		}
		random := plain
		random.Jitter = rapid.Float64Range(0, 1).Draw(t, "jitter")
		n := rapid.IntRange(1, 200).Draw(t, "n")
		whole := plain.After(n)
		least := whole - time.Duration(float64(whole)*random.Jitter)
		if got := random.After(n); got < least || got > whole {
			t.Fatalf("%s, want from %s to %s", got, least, whole)
		}
	})
	full := pause.Backoff{First: time.Second, Cap: time.Second, Jitter: 1}
	low, high := false, false
	for range 1000 {
		d := full.After(1)
		low, high = low || d < time.Second/4, high || d > time.Second*3/4
	}
	if !low || !high {
		t.Error("full jitter does not reach from nothing to the whole wait")
	}
}

func TestDoSucceedsAtLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		err := pause.Backoff{First: time.Second, Cap: time.Hour}.Do(t.Context(), func(context.Context) error {
			if n++; n < 4 {
				return away
			}
			return nil
		})
		if err != nil || n != 4 {
			t.Errorf("%d attempts, %v", n, err)
		}
	})
}

func TestDoGivesUp(t *testing.T) {
	b := pause.Backoff{First: time.Second, Cap: 4 * time.Second}
	times := func(s ...float64) (at []time.Duration) {
		for _, s := range s {
			at = append(at, time.Duration(s*float64(time.Second)))
		}
		return at
	}
	counted, patient, both, decided, asked := b, b, b, b, b
	counted.Attempts = 5
	patient.Patience = 7 * time.Second
	both.Attempts, both.Patience = 2, time.Hour
	decided.Retry = func(_ error, n int) bool { return n < 3 }
	asked.Attempts, asked.Hint = 3, func(error) time.Duration { return 3 * time.Second }
	greedy := counted
	greedy.Attempts, greedy.Hint = 2, func(error) time.Duration { return time.Hour }
	impatient := patient
	impatient.Hint = greedy.Hint
	for name, c := range map[string]struct {
		b    pause.Backoff
		err  error
		want []time.Duration
	}{
		"after its attempts":                      {counted, away, times(0, 1, 3, 7, 11)},
		"when a wait would outlast its patience":  {patient, away, times(0, 1, 3, 7)},
		"at whichever comes first":                {both, away, times(0, 1)},
		"when its user says so":                   {decided, errors.New("?"), times(0, 1, 3)},
		"its user may repeat what is permanent":   {decided, ivd.Errorf(ivd.Permanent, "no"), times(0, 1, 3)},
		"at once when it cannot help":             {counted, ivd.Errorf(ivd.Denied, "no"), times(0)},
		"not for want of a kind":                  {both, errors.New("?"), times(0, 1)},
		"a hint makes a wait longer, not shorter": {asked, away, times(0, 3, 6)},
		"a hint counts up to a minute":            {greedy, away, times(0, 60)},
		"a hint does not outlast the patience":    {impatient, away, times(0)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at, err := attempts(t.Context(), c.b, c.err)
				if !errors.Is(err, c.err) || !slices.Equal(at, c.want) {
					t.Errorf("attempts at %v and %v, want %v", at, err, c.want)
				}
			})
		})
	}
}

// An end of the context is told by its cause, in a wait, in an attempt, and where
// the attempt's own error says that nothing can help.
func TestDoEndsWithTheContext(t *testing.T) {
	why := errors.New("why")
	for name, f := range map[string]func(context.Context) error{
		"in a wait": func(context.Context) error { return away },
		"in an attempt": func(ctx context.Context) error {
			<-ctx.Done()
			return ivd.Errorf(ivd.Permanent, "interrupted")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Minute, func() { cancel(why) })
				begun := time.Now()
				err := pause.Backoff{First: time.Hour, Cap: time.Hour}.Do(ctx, f)
				if !errors.Is(err, why) || time.Since(begun) != time.Minute {
					t.Errorf("%v after %s", err, time.Since(begun))
				}
			})
		})
	}
}

func TestTellHearsOfEachWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waits []time.Duration
		b := pause.Backoff{First: time.Second, Cap: time.Minute, Attempts: 3, Tell: func(err error, wait time.Duration) {
			if !errors.Is(err, away) {
				t.Errorf("told %v", err)
			}
			waits = append(waits, wait)
		}}
		_, _ = attempts(t.Context(), b, away)
		if !slices.Equal(waits, []time.Duration{time.Second, 2 * time.Second}) {
			t.Errorf("told of %v", waits)
		}
	})
}

// What succeeded in between begins the waits anew, and the patience with them.
func TestSeriesBeginsAnewAfterReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := pause.Backoff{First: time.Second, Cap: time.Minute, Patience: 5 * time.Second}.Series()
		for round := range 3 {
			begun := time.Now()
			var err error
			for n := 0; n < 10 && err == nil; n++ {
				err = s.Wait(t.Context(), away)
			}
			if !errors.Is(err, away) || time.Since(begun) != 3*time.Second {
				t.Errorf("round %d: %v after %s, want two waits of a second and two", round, err, time.Since(begun))
			}
			s.Reset()
			time.Sleep(time.Hour) // all was well
		}
	})
}
