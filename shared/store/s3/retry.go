package s3

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

var (
	// patient outlasts a restart of the service or its plea to slow down, about
	// half a minute. Longer outages are the caller's to judge. Half of a wait is
	// random, so that many movers do not come back at once.
	patient = pause.Backoff{Attempts: 8, First: 250 * time.Millisecond, Cap: 10 * time.Second, Jitter: 0.5, Retry: passes}
	// hasty is for a person who waits for the first answer.
	hasty = pause.Backoff{Attempts: 2, First: 250 * time.Millisecond, Cap: time.Second, Jitter: 0.5, Retry: passes}
)

// passes reports whether a request failed for a reason that passes by itself.
func passes(err error, _ int) bool {
	kind := ivd.KindOf(err)
	return kind == ivd.Transient || kind == ivd.Unknown
}

// do runs one request until it succeeds, fails for good, or the attempts or the
// context end. Its errors are classified.
func (s *Store) do(ctx context.Context, op string, request func() error) error {
	return s.again(ctx, op, func() error { return s.asked(ctx, op, request) })
}

// again repeats f, whose errors are classified, as do does.
func (s *Store) again(ctx context.Context, op string, f func() error) error {
	b := s.retry
	b.Hint = func(error) time.Duration { return s.plea.left() }
	err := b.Do(ctx, func(ctx context.Context) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return f()
	})
	return s.failed(op, err)
}

// asked sends one request with the key that there is, and again with another one where
// that was refused and there is another one by now.
func (s *Store) asked(ctx context.Context, op string, request func() error) error {
	for again := false; ; again = true {
		key, err := s.keys.use(ctx)
		if err != nil {
			return s.failed(op, err)
		}
		raw := passing(request())
		another, err := s.keys.learn(key, raw, s.failed(op, raw))
		if !another || again {
			return err
		}
	}
}

// passing is for the network's own timeouts, which look like the end of a context.
// Where the caller's has ended, that is what is told.
func passing(err error) error {
	if ivd.KindOf(err) == ivd.Cancelled {
		return &ivd.Error{Kind: ivd.Transient, Err: withoutURL(err)}
	}
	return err
}

// plea is the time before which the service asked not to be asked again
// (Retry-After). It holds for all requests: what is short is the service.
type plea struct {
	mu    sync.Mutex
	until time.Time
}

func (p *plea) saw(status int, h http.Header) {
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return
	}
	until := retryAfter(h, time.Now())
	p.mu.Lock()
	defer p.mu.Unlock()
	if until.After(p.until) {
		p.until = until
	}
}

func (p *plea) left() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.until)
}

// retryAfter is when an answer asks for the next request, by seconds or by the
// service's own clock; zero where it does not.
func retryAfter(h http.Header, now time.Time) time.Time {
	text := h.Get("Retry-After")
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return now.Add(time.Duration(n) * time.Second)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return time.Time{}
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return now.Add(at.Sub(date))
	}
	return at
}
