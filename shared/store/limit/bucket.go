package limit

import (
	"context"
	"sync"
	"time"

	"ivdmover/shared/pause"
)

// lane is a queue of a bucket. A bucket's lanes take turns, so that a record of a
// few hundred bytes waits for one pack at most, and not for all that are waiting.
type lane int

const (
	smallLane lane = iota // also of requests whose size is not known before
	largeLane
	lanes
)

// large is the size from which a request is in the large lane.
const large = 64 << 10

func laneOf(bytes int) lane {
	if bytes < large {
		return smallLane
	}
	return largeLane
}

// bucket hands out units, bytes or requests, at a rate that may change. A request takes
// its units at once when the bucket is not in debt, and may leave it in debt, which
// those behind it wait for. An idle bucket saves what a second brings, and no more.
type bucket struct {
	rate func(time.Time) int64 // units a second; 0: no limit
	head [lanes]chan struct{}  // held by the first of each lane; the others wait for it in their order

	mu      sync.Mutex
	level   float64 // units
	at      time.Time
	waiting [lanes]bool // the first of the lane waits for units
	last    lane        // that took units
}

func newBucket(rate func(time.Time) int64) *bucket {
	b := &bucket{rate: rate}
	for i := range b.head {
		b.head[i] = make(chan struct{}, 1)
	}
	return b
}

// take waits for its turn and takes n units. A wait that is cancelled has taken nothing.
func (b *bucket) take(ctx context.Context, l lane, n int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case b.head[l] <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-b.head[l] }()
	defer b.leave(l)
	for {
		wait := b.try(l, n)
		if wait == 0 {
			return nil
		}
		if err := pause.For(ctx, wait); err != nil {
			return err
		}
	}
}

// yield is how long the lane that took units last leaves the other one alone.
const yield = time.Millisecond

// try takes n units, or says when to try again.
func (b *bucket) try(l lane, n int) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	rate := b.fill(now)
	switch {
	case rate == 0:
	case b.level <= 0:
		b.waiting[l] = true
		paid := time.Duration((-b.level/rate)*float64(time.Second)) + time.Nanosecond
		return min(paid, time.Until(now.Truncate(time.Minute).Add(time.Minute))) // then other limits may hold
	case b.last == l && b.waiting[1-l]:
		b.waiting[l] = true
		return yield
	}
	b.level -= float64(n)
	b.last = l
	return 0
}

func (b *bucket) leave(l lane) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting[l] = false
}

// owe takes n units that are used already, without waiting.
func (b *bucket) owe(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill(time.Now())
	b.level -= float64(n)
}

// fill brings the level up to date and returns the rate.
func (b *bucket) fill(now time.Time) float64 {
	rate := float64(b.rate(now))
	switch {
	case rate == 0: // a debt from before is forgiven
		b.level = 0
	case b.at.IsZero():
		b.level = rate
	default:
		b.level = min(b.level+now.Sub(b.at).Seconds()*rate, rate)
	}
	b.at = now
	return rate
}
