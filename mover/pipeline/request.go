package pipeline

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// What a disk is asked for, where nobody says.
const (
	inFlight    = 8       // requests on the one handle
	requestSize = 1 << 20 // bytes
)

func requestBytes(n int64) int64 {
	if n <= 0 {
		return requestSize
	}
	return n
}

// requests bounds what one disk has in flight, and how large a request is.
type requests struct {
	size  int64
	token chan struct{} // one for each request in flight
}

func newRequests(depth int, size int64) requests {
	if depth <= 0 {
		depth = inFlight
	}
	return requests{size: requestBytes(size), token: make(chan struct{}, depth)}
}

// do makes one request of buf, or several beside each other where it is longer than
// one may be, cut at multiples of its size. When it returns all have ended.
func (r requests) do(ctx context.Context, buf []byte, off int64, call func(context.Context, []byte, int64) error) error {
	if first := r.size - off%r.size; int64(len(buf)) <= first {
		return r.one(ctx, buf, off, call)
	}
	g, ctx := errgroup.WithContext(ctx)
	for len(buf) > 0 {
		n := min(r.size-off%r.size, int64(len(buf)))
		part, at := buf[:n:n], off
		g.Go(func() error { return r.one(ctx, part, at, call) })
		buf, off = buf[n:], off+n
	}
	return g.Wait()
}

func (r requests) one(ctx context.Context, buf []byte, off int64, call func(context.Context, []byte, int64) error) error {
	select {
	case r.token <- struct{}{}:
		defer func() { <-r.token }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return call(ctx, buf, off)
}
