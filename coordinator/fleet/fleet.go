// Package fleet knows the movers: which of them live, how many disks they can
// hold, whether one still holds a disk, which of them to ask for something
// that only VDDK can do, and by which keys their words are known as theirs.
//
// What it promises: the heartbeats are followed by one standing watch for all who
// want to know, and are listed only where it matters what is stored now; a mover that
// has fallen silent counts no more, by this coordinator's own clock, long before its
// heartbeat is forgotten. It knows no vCenter and no repository. All methods are safe
// for concurrent use.
package fleet

import (
	"context"
	"slices"
	"sync"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

const (
	// SilentMover is after which time without a heartbeat a mover does not count.
	SilentMover = 20 * time.Second
	// listLife is how long a list may be used again that says what is stored now.
	listLife = 250 * time.Millisecond
)

// Fleet is the movers of one queue.
type Fleet struct {
	queue    *queue.Queue
	now      func() time.Time
	standing *queue.Mirror[job.Mover]

	issuer issuer

	mu    sync.Mutex
	beats map[string]pulse     // guarded by mu: by the mover's name
	gone  gone                 // guarded by mu
	keys  map[string]keys      // guarded by mu: of processes, as they are stored
	heard map[string]job.Mover // guarded by mu: each mover's last heartbeat, by its name

	listing sync.Mutex // held while the heartbeats are listed: once for all who ask
	list    []job.Mover
	unread  map[string]error // why a heartbeat cannot be read, by the mover's name
	read    time.Time        // when the list was read; zero: never
}

// pulse is how far a mover's count of beats was, and since when.
type pulse struct {
	mover job.Mover // as it is since then
	since time.Time
}

// New returns the fleet of a queue. Now is its clock; nil is time.Now.
func New(q *queue.Queue, now func() time.Time) *Fleet {
	if now == nil {
		now = time.Now
	}
	return &Fleet{queue: q, now: now, standing: q.StandingMovers(), beats: map[string]pulse{}, keys: map[string]keys{}, heard: map[string]job.Mover{}}
}

// Handles counts the disks that the movers can hold now which take jobs of a kind.
func (f *Fleet) Handles(ctx context.Context, k job.Kind) (int, error) {
	movers, err := f.standing.All(ctx)
	if err != nil {
		return 0, err
	}
	handles := 0
	for i, silent := range f.silence(movers) {
		if m := movers[i]; usable(m) && m.Takes(k) && silent <= SilentMover {
			handles += m.Handles
		}
	}
	return handles, nil
}

// Able reports whether a mover takes jobs of a kind that has not found that it cannot do
// this one.
func (f *Fleet) Able(ctx context.Context, k job.Kind, rec job.Record) (bool, error) {
	movers, err := f.standing.All(ctx)
	for i, silent := range f.silence(movers) {
		if m := movers[i]; usable(m) && m.Takes(k) && m.Handles > 0 && silent <= SilentMover && !rec.CannotBy(m.Name, m.Process) {
			return true, nil
		}
	}
	return false, err
}

// Movers lists the movers whose heartbeat is known. One that has ended is none.
func (f *Fleet) Movers(ctx context.Context) ([]job.Mover, error) {
	movers, err := f.standing.All(ctx)
	return slices.DeleteFunc(slices.Clone(movers), func(m job.Mover) bool { return m.Ended != "" }), err
}

// Unread says of each mover whose heartbeat cannot be read why. The caller must not
// change the map.
func (f *Fleet) Unread(ctx context.Context) (map[string]error, error) {
	_, unread, err := f.stored(ctx)
	return unread, err
}

// stored lists the movers as they are stored now, or were a moment ago.
func (f *Fleet) stored(ctx context.Context) ([]job.Mover, map[string]error, error) {
	f.listing.Lock()
	defer f.listing.Unlock()
	if age := f.now().Sub(f.read); !f.read.IsZero() && age >= 0 && age < listLife {
		return f.list, f.unread, nil
	}
	list, unread, err := f.queue.Movers(ctx)
	if err == nil {
		f.list, f.unread, f.read = list, unread, f.now()
	}
	return list, unread, err
}

// Mover returns one mover's heartbeat. Kind NotFound: it has none.
func (f *Fleet) Mover(ctx context.Context, name string) (job.Mover, error) {
	return f.queue.Mover(ctx, name)
}

// Holds reports whether a mover says that it works on a disk for a run. A job may
// just have begun, and its mover says so before: so what is stored counts.
func (f *Fleet) Holds(ctx context.Context, run ivd.RunID, disk ivd.DiskID) (bool, error) {
	movers, _, err := f.stored(ctx)
	for _, m := range movers {
		for _, a := range m.Active {
			if a.Run == run && a.Disk == disk {
				return true, nil
			}
		}
	}
	return false, err
}

// silence is for how long the count of each mover has stood.
func (f *Fleet) silence(movers []job.Mover) []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, seen, silent := f.now(), make(map[string]pulse, len(movers)), make([]time.Duration, len(movers))
	for i, m := range movers {
		p, known := f.beats[m.Name]
		if !known || p.mover.Process != m.Process || p.mover.Beat != m.Beat {
			p = pulse{mover: m, since: now}
		}
		seen[m.Name], silent[i] = p, now.Sub(p.since)
		f.heard[m.Name] = m
	}
	f.missLocked(now, seen)
	f.beats = seen
	return silent
}

// usable reports whether a mover takes anything new.
func usable(m job.Mover) bool { return !m.Draining && m.Waits == "" && m.Ended == "" }
