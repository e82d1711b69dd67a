// Package fleet knows the movers: which of them live, how many disks they can
// hold, whether one still holds a disk, and which of them to ask for something
// that only VDDK can do.
//
// What it promises: the heartbeats are read once for all who want to know, and at
// most listLife old; a mover that has fallen silent counts no more, by this
// coordinator's own clock, long before its heartbeat is forgotten. It knows no
// vCenter and no repository. All methods are safe for concurrent use.
package fleet

import (
	"context"
	"sync"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

const (
	// SilentMover is after which time without a heartbeat a mover does not count.
	SilentMover = 20 * time.Second
	listLife    = 2 * time.Second
)

// Fleet is the movers of one queue.
type Fleet struct {
	queue *queue.Queue
	now   func() time.Time

	mu    sync.Mutex       // held while the heartbeats are read: once for all who ask
	list  []job.Mover      // guarded by mu, like all below
	read  time.Time        // when the list was read
	beats map[string]pulse // by the mover's name
	known bool             // the list was read once
}

// pulse is how far a mover's count of beats was, and since when.
type pulse struct {
	process string
	count   uint64
	since   time.Time
}

// New returns the fleet of a queue. Now is its clock; nil is time.Now.
func New(q *queue.Queue, now func() time.Time) *Fleet {
	if now == nil {
		now = time.Now
	}
	return &Fleet{queue: q, now: now, beats: map[string]pulse{}}
}

// Handles counts the disks that the movers can hold now. Whoever calls it
// regularly keeps the list fresh for all.
func (f *Fleet) Handles(ctx context.Context) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.readLocked(ctx); err != nil {
		return 0, err
	}
	handles := 0
	for _, m := range f.list {
		if usable(m) && f.now().Sub(f.beats[m.Name].since) <= SilentMover {
			handles += m.Handles
		}
	}
	return handles, nil
}

// Movers lists the movers whose heartbeat is known, as they were at most listLife
// ago. The caller must not change the list.
func (f *Fleet) Movers(ctx context.Context) ([]job.Mover, error) { return f.atMost(ctx, listLife) }

// atMost is the list, read anew where it is older than that.
func (f *Fleet) atMost(ctx context.Context, old time.Duration) ([]job.Mover, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if age := f.now().Sub(f.read); f.known && age >= 0 && age < old {
		return f.list, nil
	}
	err := f.readLocked(ctx)
	return f.list, err
}

// Mover returns one mover's heartbeat. Kind NotFound: it has none.
func (f *Fleet) Mover(ctx context.Context, name string) (job.Mover, error) {
	return f.queue.Mover(ctx, name)
}

// Holds reports whether a mover says that it works on a disk for a run.
func (f *Fleet) Holds(ctx context.Context, run ivd.RunID, disk ivd.DiskID) (bool, error) {
	movers, err := f.atMost(ctx, listLife/8) // a job may just have begun
	for _, m := range movers {
		for _, a := range m.Active {
			if a.Run == run && a.Disk == disk {
				return true, nil
			}
		}
	}
	return false, err
}

// readLocked reads the heartbeats and notes since when each count has stood.
func (f *Fleet) readLocked(ctx context.Context) error {
	list, err := f.queue.Movers(ctx)
	if err != nil {
		return err
	}
	now, seen := f.now(), make(map[string]pulse, len(list))
	for _, m := range list {
		p, known := f.beats[m.Name]
		if !known || p.process != m.Process || p.count != m.Beat {
			p = pulse{process: m.Process, count: m.Beat, since: now}
		}
		seen[m.Name] = p
	}
	f.list, f.beats, f.read, f.known = list, seen, now, true
	return nil
}

// usable reports whether a mover takes anything new.
func usable(m job.Mover) bool { return !m.Draining }
