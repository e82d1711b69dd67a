package disk

import (
	"sync"
	"time"
)

// rate measures what goes through a handle, in the time that requests are under
// way: what the pipeline waits for otherwise is not the transport's.
type rate struct {
	mu    sync.Mutex
	now   func() time.Time
	under int       // requests under way
	since time.Time // when the first of them began
	busy  time.Duration
	bytes int64
}

func newRate() rate { return rate{now: time.Now} }

func (r *rate) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.under == 0 {
		r.since = r.now()
	}
	r.under++
}

func (r *rate) end(n int, good bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.under--; r.under == 0 {
		r.busy += r.now().Sub(r.since)
	}
	if good {
		r.bytes += int64(n)
	}
}

func (r *rate) total() (bytes int64, busy time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	busy = r.busy
	if r.under > 0 {
		busy += r.now().Sub(r.since)
	}
	return r.bytes, busy
}
