package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Window is the time from a firing on in which something may be done.
type Window struct {
	Start, End time.Time
}

// Window is the one that an instant lies in, where each firing opens one of a length of
// real time. Where several do, the newest. Open: there is one.
func (s Schedule) Window(at time.Time, length time.Duration) (w Window, open bool) {
	start := s.Last(at)
	if start.IsZero() {
		return w, false
	}
	w = Window{start, start.Add(length)}
	return w, at.Before(w.End)
}

// Jitter is a share of a span, the same for the same names always: what many have on one
// schedule does not begin in one moment.
func Jitter(span time.Duration, names ...string) time.Duration {
	if span <= 0 {
		return 0
	}
	h := sha256.New()
	for _, n := range names {
		_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(n)))) // never fails
		_, _ = h.Write([]byte(n))
	}
	return time.Duration(binary.BigEndian.Uint64(h.Sum(nil)) % uint64(span))
}
