package s3

import (
	"context"
	"math/rand/v2"
	"time"

	"ivdmover/shared/ivd"
)

// backoff repeats a request that failed for a reason that passes.
type backoff struct {
	attempts int
	first    time.Duration // before the second attempt; doubled for each further one
	most     time.Duration
}

var (
	// patient outlasts a restart of the service or its plea to slow down, about
	// half a minute. Longer outages are the caller's to judge.
	patient = backoff{attempts: 8, first: 250 * time.Millisecond, most: 10 * time.Second}
	// hasty is for a person who waits for the first answer.
	hasty = backoff{attempts: 2, first: 250 * time.Millisecond, most: time.Second}
)

// do runs one request until it succeeds, fails for good, or the attempts or the
// context end. Its errors are classified.
func (s *Store) do(ctx context.Context, op string, request func() error) error {
	for attempt := 1; ; attempt++ {
		if err := ctx.Err(); err != nil {
			return s.failed(op, err)
		}
		err := request()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil { // not the service's fault
			return s.failed(op, ctx.Err())
		}
		err = s.failed(op, passing(err))
		if kind := ivd.KindOf(err); kind != ivd.Transient && kind != ivd.Unknown || attempt >= s.retry.attempts {
			return err
		}
		if !s.retry.wait(ctx, attempt) {
			return s.failed(op, ctx.Err())
		}
	}
}

// passing is for the network's own timeouts, which look like the end of a context:
// the caller's has not ended.
func passing(err error) error {
	if ivd.KindOf(err) == ivd.Cancelled {
		return &ivd.Error{Kind: ivd.Transient, Err: withoutURL(err)}
	}
	return err
}

// wait waits before the next attempt: between a half and the whole of a time that
// doubles, so that many movers do not come back at once.
func (b backoff) wait(ctx context.Context, attempt int) bool {
	d := min(b.first<<(attempt-1), b.most)
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
