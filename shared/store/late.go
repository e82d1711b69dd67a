package store

import (
	"context"
	"time"
)

// Late reports, by its error, whether a context has ended, or its deadline has passed by
// the wall clock: the timer of a deadline does not count the time for which this host, or
// the process, was suspended.
func Late(ctx context.Context) error {
	if dies, ok := ctx.Deadline(); ok && !time.Now().Round(0).Before(dies.Round(0)) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// Deleting is the context of a request to delete that was decided on now, and of all its
// retries: it ends after DeleteLife, which Late tells also where this host was suspended.
func Deleting(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, time.Now().Round(0).Add(DeleteLife))
}
