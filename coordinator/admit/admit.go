// Package admit decides which disks may start now.
//
// It is pure: who runs and who waits goes in, who starts comes out. A disk
// starts when every token that it needs is free: one of its datastore, one of the
// fleet, and the disk itself, which no two runs hold at once. Restores go first;
// after them the datastore with the fewest disks under way is served first, so
// that no backlog keeps another datastore waiting. A limit is never exceeded,
// and whatever may start does.
package admit

import "ivdmover/shared/ivd"

// Limits are how many disks may be under way at once.
type Limits struct {
	// Datastore is the limit of each datastore, by its vCenter's name in the
	// configuration. A vCenter that is not named has none.
	Datastore map[ivd.SourceID]int
	// Fleet is the limit over all; see Fleet.
	Fleet int
}

// Fleet is how many disks to have under way where the live movers open handles
// disks at once: a little more, so that no mover waits for a snapshot, and not
// much more, so that no snapshot ages in a backlog. Without movers nothing starts.
func Fleet(handles int) int {
	if handles <= 0 {
		return 0
	}
	return handles + 1 + handles/8
}

// Holding is a disk that was admitted.
type Holding struct {
	Ref ivd.DiskRef
	// Done: it has ended and holds nothing. Those of the runs under way are worth
	// passing: among datastores with equally many disks under way, the one that
	// was served least comes first.
	Done bool
}

// Want is a disk that waits, in the order in which they came.
type Want struct {
	Ref     ivd.DiskRef // the id may be empty where a restore has yet to create the disk
	Restore bool
}

// Next is who may start now, in the order of starting. Where several wait for one
// disk, the first of them is meant.
func Next(limits Limits, running []Holding, waiting []Want) []ivd.DiskRef {
	s := newTokens(limits, running)
	var started []ivd.DiskRef
	for _, restore := range []bool{true, false} {
		lines := queueUp(waiting, restore)
		for {
			line := s.pick(lines)
			if line == nil {
				break
			}
			want := line.wants[0]
			line.wants = line.wants[1:]
			s.take(want.Ref)
			started = append(started, want.Ref)
		}
	}
	return started
}

// line is the wants of one datastore, in order.
type line struct {
	at    place
	wants []Want
}

func queueUp(waiting []Want, restore bool) []*line {
	var lines []*line
	at := map[place]*line{}
	for _, want := range waiting {
		if want.Restore != restore {
			continue
		}
		p := placeOf(want.Ref)
		if at[p] == nil {
			at[p] = &line{at: p}
			lines = append(lines, at[p])
		}
		at[p].wants = append(at[p].wants, want)
	}
	return lines
}
