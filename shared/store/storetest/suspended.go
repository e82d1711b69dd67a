package storetest

import (
	"context"
	"sync/atomic"
	"time"
)

// Suspended is a context as it is on a host that was suspended: its deadline has passed by
// the wall clock once Wake was called, and its timer does not know.
type Suspended struct {
	context.Context
	woken atomic.Bool
}

// Wake has the deadline be over.
func (s *Suspended) Wake() { s.woken.Store(true) }

// Deadline is a minute away, or has been over for an hour.
func (s *Suspended) Deadline() (time.Time, bool) {
	if s.woken.Load() {
		return time.Now().Add(-time.Hour), true
	}
	return time.Now().Add(time.Minute), true
}
