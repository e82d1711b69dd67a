package pause

import (
	"time"

	"ivdmover/shared/ivd"
)

// Starting is how a service waits for what it needs to begin, in whatever order the
// others are started: for ever, as long as what keeps it from that may pass, telling
// what. A definite answer ends it.
func Starting(tell func(err error, wait time.Duration)) Backoff {
	return Backoff{
		First: time.Second, Cap: 30 * time.Second, Jitter: 0.25, Tell: tell,
		Retry: func(err error, _ int) bool { return ivd.KindOf(err) == ivd.Transient },
	}
}
