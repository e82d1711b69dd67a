package disk

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"ivdmover/shared/ivd"
)

// Areas is an answer about the part of a disk from where was asked to End:
// Extents, in order and apart from each other, are what was asked for there.
type Areas struct {
	Extents []ivd.Extent
	End     int64
}

// Everything is what asks, in the place of a change id, for all allocated areas.
const Everything = "*"

// Changed lists the areas that were written between the snapshot whose change id
// is since, and the named one: exactly the blocks that were touched. It begins at
// offset from and ends after limit areas.
func (d *Disk) Changed(snapshot, since string, from int64, limit int) (Areas, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	i := d.meta.find(snapshot)
	if i < 0 {
		return Areas{}, unknownSnapshot(snapshot)
	}
	if from < 0 || from >= d.capacity {
		return Areas{}, fmt.Errorf("areas from %d of %d: %w", from, d.capacity, ErrRange)
	}
	s := d.meta.snapshots[i]
	if s.series == none {
		return Areas{}, fmt.Errorf("changes up to snapshot %s: %w", snapshot, ErrUntracked)
	}
	if since == Everything {
		return d.allocated(d.layers[i:], from, d.capacity, limit)
	}
	scans, err := d.openChanges(s, since)
	if err != nil {
		return Areas{}, err
	}
	next := func(b, count int64) (int64, int64) {
		start := count
		for _, c := range scans {
			start = min(start, c.upcoming(b, count))
		}
		return start, min(start+1, count)
	}
	a := gather(next, from, d.capacity, d.capacity, limit)
	for _, c := range scans {
		err = errors.Join(err, c.err, c.f.Close())
	}
	return a, err
}

// openChanges opens the bitmaps of all epochs after since, up to s.
func (d *Disk) openChanges(s Snapshot, since string) ([]*scanner, error) {
	series, number, ok := strings.Cut(since, "/")
	a, err := strconv.ParseUint(number, 10, 63)
	if !ok || err != nil || series != s.series || a > s.Epoch || (series == d.meta.series && a < d.meta.since) {
		return nil, fmt.Errorf("changes since %q up to %q: %w", since, s.ChangeID(), ErrChangeID)
	}
	var scans []*scanner
	for e := a + 1; e <= s.Epoch; e++ {
		f, err := os.Open(d.file(changesFile(e)))
		if err != nil {
			for _, c := range scans {
				_ = c.f.Close()
			}
			return nil, fmt.Errorf("changes since %q: tracking was reset: %w", since, ErrChangeID)
		}
		scans = append(scans, &scanner{f: f})
	}
	return scans, nil
}

// gather collects the runs of blocks that next yields, as extents within [from, to).
// next tells the first run [start, end) of blocks at or after b; start is count when
// there is none.
func gather(next func(b, count int64) (start, end int64), from, to, capacity int64, limit int) Areas {
	to = min(to, capacity)
	a := Areas{End: to}
	count := blocks(to)
	for b := from / BlockSize; b < count; {
		start, end := next(b, count)
		if start >= count {
			break
		}
		at, stop := max(start*BlockSize, from), min(end*BlockSize, to)
		if n := len(a.Extents); n > 0 && a.Extents[n-1].End() == at {
			a.Extents[n-1].Length += stop - at
		} else if n == limit {
			a.End = a.Extents[n-1].End()
			break
		} else {
			a.Extents = append(a.Extents, ivd.Extent{Offset: at, Length: stop - at})
		}
		b = end
	}
	return a
}

// TrackChanges turns changed-block tracking on or off. Turning it on begins a new
// series of change ids; turning it off forgets the changes.
func (d *Disk) TrackChanges(on bool) error {
	return d.exclusive(func() error {
		m := d.meta
		if m.cbt == on {
			return nil
		}
		m.cbt = on
		if on {
			m.epoch++
			m.since, m.series = m.epoch, newSeries()
			return d.commit(m)
		}
		if err := d.commit(m); err != nil {
			return err
		}
		return d.forgetChanges()
	})
}

// Tracking reports whether changes are tracked.
func (d *Disk) Tracking() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.meta.cbt
}
