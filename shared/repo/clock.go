package repo

import (
	"sync"
	"time"
)

// clock is the store's clock: what it last said, plus what has passed here since.
// It serves decisions in which days or minutes matter; where a moment matters (a
// lease before a commit) the store is asked anew.
type clock struct {
	mu   sync.Mutex
	said time.Time
	here time.Time // with its monotonic part
}

func (c *clock) set(said time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said, c.here = said, time.Now()
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said.IsZero() {
		return time.Now()
	}
	return c.said.Add(time.Since(c.here))
}

// Now is the store's clock, as far as it is known without asking: of use where
// seconds do not matter. It is this machine's as long as the store tells no time, as
// one does that was opened for reading only.
func (r *Repository) Now() time.Time { return r.clock.now() }
