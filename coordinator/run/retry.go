package run

import (
	"context"
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

// stepping is the back-off between attempts: a second at first, a minute at the
// most, a quarter of it random so that many disks do not come back at once.
var stepping = pause.Backoff{First: time.Second, Cap: time.Minute, Jitter: 0.25, Retry: worthAnother}

// worthAnother reports whether a step is repeated after its n-th failure.
func worthAnother(err error, n int) bool {
	kind, attempts := ivd.KindOf(err), stepAttempts
	if kind == ivd.Transient {
		attempts = awayAttempts
	}
	return n < attempts && kind.Retry()
}

// again repeats f while its error may pass, with growing pauses.
func again(ctx context.Context, f func() error) error {
	return againTelling(ctx, f, func(error) {})
}

// againTelling is again, and tells each error after which f is repeated.
func againTelling(ctx context.Context, f func() error, tell func(error)) error {
	b := stepping
	b.Tell = func(err error, _ time.Duration) { tell(err) }
	return b.Do(ctx, func(context.Context) error { return f() })
}
