// Package pause waits for a while, or less where a context ends. It promises that
// nothing sleeps through a cancellation.
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
