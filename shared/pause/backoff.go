package pause

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"ivdmover/shared/ivd"
)

// Backoff says how long to wait before another attempt, and when to give up. It
// is a value; it may be copied and used concurrently.
type Backoff struct {
	First  time.Duration // the wait after the first failure
	Cap    time.Duration // no wait is longer, except for a hint
	Factor float64       // each wait is so many times the one before; 0: twice
	Jitter float64       // the share of a wait that is random, 0 to 1 (full jitter)

	Attempts int           // at most; 0: no limit
	Patience time.Duration // no attempt begins later than this; 0: no limit

	// Retry reports whether another attempt can help after the n-th one failed.
	// Nil: ivd.KindOf(err).Retry decides.
	Retry func(err error, n int) bool
	// Hint is the least wait that the other side asked for, such as HTTP's
	// Retry-After. It counts up to a minute. Nil: there is none.
	Hint func(err error) time.Duration
	// Tell is called before each wait.
	Tell func(err error, wait time.Duration)
}

// longestHint is how long another side can make this one wait.
const longestHint = time.Minute

// After returns the wait after the n-th failure in a row, counted from 1.
func (b Backoff) After(n int) time.Duration {
	factor := b.Factor
	if factor == 0 {
		factor = 2
	}
	grown := min(math.Pow(factor, float64(max(n, 1)-1)), math.MaxFloat64) // finite, so that no First makes it no number
	d := time.Duration(min(float64(b.First)*grown, float64(b.Cap)))
	if random := time.Duration(float64(d) * b.Jitter); random > 0 {
		d -= rand.N(random + 1)
	}
	return d
}

// Do calls f until it succeeds, fails for good, or the attempts, the patience
// (counted from the call of Do) or ctx end. It returns f's last error, or ctx's
// cause where ctx ended first, whatever f made of that.
func (b Backoff) Do(ctx context.Context, f func(context.Context) error) error {
	s := b.Series()
	s.begun = time.Now()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if err := s.Wait(ctx, err); err != nil {
			return err
		}
	}
}

// Series counts failures in a row, for a loop that also succeeds now and then. It
// belongs to one goroutine.
type Series struct {
	b     Backoff
	n     int       // failures in a row
	begun time.Time // from where the patience counts
}

// Series returns a series without a failure.
func (b Backoff) Series() *Series { return &Series{b: b} }

// Reset ends the failures in a row. The patience then counts from the next one.
func (s *Series) Reset() { s.n, s.begun = 0, time.Time{} }

// Wait takes note of a failure and waits. It returns nil when it is time for
// another attempt, ctx's cause where ctx has ended, and err where there is to be
// no other attempt.
func (s *Series) Wait(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.begun.IsZero() {
		s.begun = time.Now()
	}
	s.n++
	if s.b.Attempts > 0 && s.n >= s.b.Attempts || !s.retry(err) {
		return err
	}
	wait := s.b.After(s.n)
	if s.b.Hint != nil {
		wait = max(wait, min(s.b.Hint(err), longestHint))
	}
	if s.b.Patience > 0 && time.Since(s.begun)+wait > s.b.Patience {
		return err
	}
	if s.b.Tell != nil {
		s.b.Tell(err, wait)
	}
	return For(ctx, wait)
}

func (s *Series) retry(err error) bool {
	if s.b.Retry != nil {
		return s.b.Retry(err, s.n)
	}
	return ivd.KindOf(err).Retry()
}
