package s3

import (
	"net/http"
	"sync"
	"time"

	"ivdmover/shared/ivd"
)

// clock knows how far this host's clock may be ahead of the store's, by the Date
// headers of what the store answers. A signature carries this host's time: where
// that is ahead, a signed request lives longer than was meant.
type clock struct {
	mu    sync.Mutex
	known bool
	ahead time.Duration
}

// saw takes an answer's date into account. A date is cut to seconds, and the
// answer took its time: both make this host look ahead, so the least is nearest.
func (c *clock) saw(date, received time.Time) {
	ahead := received.Sub(date)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known || ahead < c.ahead || ahead > c.ahead+maxWander {
		c.known, c.ahead = true, ahead
	}
}

const (
	// maxWander is a change of the difference that is more than a slow answer:
	// one of the clocks was set.
	maxWander = time.Minute
	// tolerated is what cut seconds explain.
	tolerated = 2 * time.Second
)

// shorten takes from a request's life what this host's clock is ahead.
func (c *clock) shorten(life time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ahead > tolerated {
		life -= c.ahead
	}
	return life
}

// now is the store's clock, as well as it is known.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(-c.ahead)
}

// watcher shows every answer to those who learn from it.
type watcher struct {
	next  *http.Transport
	clock *clock
	plea  *plea
}

func (w *watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(r)
	if err == nil {
		if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			w.clock.saw(date, time.Now())
		}
		w.plea.saw(resp.StatusCode, resp.Header)
	}
	return resp, err
}

// CloseIdleConnections is what http.Client looks for.
func (w *watcher) CloseIdleConnections() { w.next.CloseIdleConnections() }

// dateOf is the store's clock in an answer.
func dateOf(h http.Header) (time.Time, error) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}, ivd.Errorf(ivd.Unsupported, "the answer has no Date header: leases need the store's clock")
	}
	return date, nil
}
