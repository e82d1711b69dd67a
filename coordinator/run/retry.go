package run

import (
	"context"
	"math/rand/v2"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// Attempts at one step, and at one job, before its error is the disk's. What is
// away comes back within minutes, a vCenter that is started again for example: a
// disk that gave up sooner would only make room for the next one to give up.
const (
	stepAttempts = 5
	awayAttempts = 10 // of kind Transient: some four minutes
	jobAttempts  = 8
	undoAttempts = 3 // before the disk ends and what is left is the ledger's
)

// backoff is how long to wait after the n-th failure in a row (from 1): about 1 s,
// doubled each time, one minute at the most, with a quarter of jitter so that many
// disks do not come back at once.
func backoff(n int) time.Duration {
	d := min(time.Second<<min(n-1, 6), time.Minute)
	return d*3/4 + rand.N(d/2)
}

// again repeats f while its error may pass, with growing pauses.
func again(ctx context.Context, f func() error) error {
	return againTelling(ctx, f, func(error) {})
}

// againTelling is again, and tells each error after which f is repeated.
func againTelling(ctx context.Context, f func() error, tell func(error)) error {
	for n := 1; ; n++ {
		err := f()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		kind, attempts := ivd.KindOf(err), stepAttempts
		if kind == ivd.Transient {
			attempts = awayAttempts
		}
		if n >= attempts || !kind.Retry() {
			return err
		}
		tell(err)
		if cause := pause.For(ctx, backoff(n)); cause != nil {
			return cause
		}
	}
}
