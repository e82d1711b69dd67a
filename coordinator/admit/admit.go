// Package admit decides who may start now.
//
// It is pure: who holds what and who waits goes in, who starts comes out. A want
// starts when every token that it needs is free, and takes all of them or none.
// Urgent wants go first; after them the datastore with the fewest disks under way
// is served first, so that no backlog keeps another datastore waiting. A limit is
// never exceeded, but by a single want that is larger than the limit and has it
// for itself; whatever may start does, but that no one passes by a large want that
// waits for slots, nor by one that waits for a host.
package admit

import "ivdmover/shared/ivd"

// Limits are how many disks may be under way at once.
type Limits struct {
	// Datastore is the limit of each datastore, by its source. A source that is not
	// named has none.
	Datastore map[ivd.SourceID]int
	// Host is the limit of each ESXi host, likewise. Of disks whose host is not known
	// there is none.
	Host map[ivd.SourceID]int
	// Fleet is the limit over all; see Fleet.
	Fleet int
	// Writers is that of the disks that are written to, likewise, for the movers that
	// write.
	Writers int
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

// Holding is the tokens of somebody who was admitted and has not ended.
type Holding []Token

// Served counts those of the runs under way that have ended, by the datastore of
// their line (LineOf): among datastores with equally many disks under way, the one
// that was served least comes first.
type Served map[Token]int

// Want is somebody who waits.
type Want struct {
	Tokens []Token
	Urgent bool
}

// Next returns the indices of the wants that may start now, in the order of
// starting; the wants are given in the order in which they came. Where several
// wait for one disk, the first of them starts.
func Next(limits Limits, holding []Holding, served Served, waiting []Want) []int {
	s := newState(limits, holding, served)
	var started []int
	for _, urgent := range []bool{true, false} {
		lines := queueUp(waiting, urgent)
		for {
			line, full := s.pick(lines)
			if full {
				return started
			}
			if line == nil {
				break
			}
			started = append(started, line.wants[0].index)
			s.take(line.wants[0].Tokens)
			line.wants = line.wants[1:]
		}
	}
	return started
}

// line is the wants of one datastore, in order.
type line struct {
	at    Token
	wants []indexed
}

type indexed struct {
	Want
	index int
}

func queueUp(waiting []Want, urgent bool) []*line {
	var lines []*line
	at := map[Token]*line{}
	for i, want := range waiting {
		if want.Urgent != urgent {
			continue
		}
		p := LineOf(want.Tokens)
		if at[p] == nil {
			at[p] = &line{at: p}
			lines = append(lines, at[p])
		}
		at[p].wants = append(at[p].wants, indexed{want, i})
	}
	return lines
}
