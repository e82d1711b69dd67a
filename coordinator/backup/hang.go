package backup

import (
	"sync"
	"time"

	"ivdmover/shared/ivd"
)

// The time that a disk has in a run for all calls about tracking: what they can save
// grows with it. A disk is read at less than a GiB in a second.
const (
	trackingTime    = 30 * time.Second
	trackingPerGiB  = time.Second
	longestTracking = 15 * time.Minute
)

// hangs remember where calls about tracking are not answered, so that not each disk of
// an estate waits for its own. It is safe for concurrent use.
type hangs struct {
	mu     sync.Mutex
	places map[place]*hang // guarded by mu
}

// place is where a call is answered: a vCenter, or one host or datastore of it.
type place struct {
	source ivd.SourceID
	part   string // empty: the whole vCenter
	call   trackingCall
}

type hang struct {
	row   int       // calls without an answer, one after the other
	until time.Time // nobody asks before
}

const (
	hangsInARow = 3               // from which on it is not the disk's alone
	hangPause   = 5 * time.Minute // until one disk asks again
)

// trackingCall is a call about tracking.
type trackingCall string

const (
	turnOn     trackingCall = "turn tracking on"
	tellChange trackingCall = "tell a change id"
	tellAreas  trackingCall = "tell areas"
)

// placesOf are where a disk's call is answered: by the host that it is attached at,
// where that is known, and else by one of those that have its datastore.
func placesOf(d Disk, call trackingCall) []place {
	part := "datastore " + string(d.Ref.Datastore())
	if d.Host != "" {
		part = "host " + string(d.Host)
	}
	return []place{{d.Ref.Source(), "", call}, {d.Ref.Source(), part, call}}
}

// refuse reports until when nobody asks at one of the places; zero where it may be asked.
// Once that is over the one who has heard so asks, and nobody else before he knows.
func (h *hangs) refuse(places []place, now time.Time) (until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range places {
		if x := h.places[p]; x != nil && x.row >= hangsInARow && now.Before(x.until) {
			return x.until
		}
	}
	for _, p := range places {
		if x := h.places[p]; x != nil {
			x.until = now.Add(hangPause)
		}
	}
	return time.Time{}
}

// note notes what became of a call.
func (h *hangs) note(places []place, answered bool, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range places {
		if answered {
			delete(h.places, p)
			continue
		}
		if h.places == nil {
			h.places = map[place]*hang{}
		}
		x := h.places[p]
		if x == nil {
			x = &hang{}
			h.places[p] = x
		}
		x.row, x.until = x.row+1, now.Add(hangPause)
	}
}

// trackingLimit is a disk's time for calls about tracking.
func (w *Workflow) trackingLimit(capacity int64) time.Duration {
	return min(w.trackingTime+time.Duration(capacity>>30)*trackingPerGiB, longestTracking)
}
