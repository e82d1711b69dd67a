// Package pause waits: for a while, or between the attempts at something that
// fails. Backoff is the one back-off of both programs.
//
// It promises that nothing sleeps through a cancellation, that what cannot
// succeed is not tried again (ivd.Kind.Retry decides, unless the caller does),
// and that a wait which would outlast the patience is not begun.
package pause

import (
	"context"
	"time"
)

// For waits for d. Its error is the context's cause where that ended first.
func For(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
