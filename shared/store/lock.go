package store

import (
	"strings"
	"time"
)

// Locks say how objects are locked: nobody can delete a locked one, nor take its content
// away by storing another under its name. The zero value locks nothing.
//
// Time is cut into generations. A lock ends For after the end of the generation in which
// it was set, so that all locks of one generation end at one moment: what is used again
// within it needs no other request, and what is used in the next one needs one.
type Locks struct {
	For        time.Duration // the least time for which an object stays locked once it was stored, or built on
	Compliance bool          // nobody at all can end a lock early; else who may bypass governance can
}

// On reports whether anything is locked.
func (l Locks) On() bool { return l.For > 0 }

const day = 24 * time.Hour

// Generation is how long a generation is: a quarter of the time of locks, in whole days.
func (l Locks) Generation() time.Duration { return max(l.For/4, day).Truncate(day) }

// Until is when a lock ends that is set at a moment, by the store's clock.
func (l Locks) Until(at time.Time) time.Time {
	g := l.Generation()
	return at.UTC().Truncate(g).Add(g).Add(l.For).Truncate(time.Second)
}

// lockedFolders are the folders whose objects are locked: packs, restore points, and what
// these cannot be read or kept without.
var lockedFolders = map[string]bool{
	"data": true, "index": true, "points": true, "writers": true, "keys": true,
	"runs": true, "verified": true, "pins": true, "holds": true,
}

// Locked reports whether objects of that name are locked. Leases, hooks, the records of
// collections and of checks are not: they must go when their time is over.
func Locked(name Name) bool {
	folder, _, inside := strings.Cut(string(name), "/")
	return inside && lockedFolders[folder] || name == "repo.json" || name == "repo.sig"
}
