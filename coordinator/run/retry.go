package run

import (
	"context"
	"math/rand/v2"
	"time"

	"ivdmover/shared/ivd"
)

// Attempts at one step, and at one job, before its error is the disk's.
const (
	stepAttempts = 5
	jobAttempts  = 8
)

// backoff is how long to wait after the n-th failure in a row (from 1): about 1 s,
// doubled each time, one minute at the most, with a quarter of jitter so that many
// disks do not come back at once.
func backoff(n int) time.Duration {
	d := min(time.Second<<min(n-1, 6), time.Minute)
	return d*3/4 + rand.N(d/2)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// again repeats f while its error may pass, with growing pauses.
func again(ctx context.Context, attempts int, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if n == attempts || !ivd.KindOf(err).Retry() {
			return err
		}
		if cause := pause(ctx, backoff(n)); cause != nil {
			return cause
		}
	}
}
