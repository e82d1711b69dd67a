package admit

import (
	"cmp"

	"ivdmover/shared/ivd"
)

// place is a datastore of one source.
type place struct {
	source    ivd.SourceID
	datastore ivd.DatastoreID
}

// identity is a disk wherever it lies: it may be relocated between two lists.
type identity struct {
	source ivd.SourceID
	disk    ivd.DiskID
}

func placeOf(d ivd.DiskRef) place { return place{d.Source(), d.Datastore()} }

// tokens is who holds what.
type tokens struct {
	limits Limits
	fleet  int
	held   map[place]int // under way
	done   map[place]int
	disks  map[identity]bool
}

func newTokens(limits Limits, running []Holding) *tokens {
	s := &tokens{limits: limits, held: map[place]int{}, done: map[place]int{}, disks: map[identity]bool{}}
	for _, h := range running {
		if h.Done {
			s.done[placeOf(h.Ref)]++
		} else {
			s.take(h.Ref)
		}
	}
	return s
}

func (s *tokens) take(d ivd.DiskRef) {
	s.fleet++
	s.held[placeOf(d)]++
	if d.ID() != "" {
		s.disks[identity{d.Source(), d.ID()}] = true
	}
}

// pick is the line to serve next, with a want that may start at its head; nil
// when nobody may start. Wants whose disk is held are dropped from the heads: it
// stays held for the rest of this decision.
func (s *tokens) pick(lines []*line) *line {
	if s.fleet >= s.limits.Fleet {
		return nil
	}
	var best *line
	for _, l := range lines {
		for len(l.wants) > 0 && s.locked(l.wants[0].Ref) {
			l.wants = l.wants[1:]
		}
		if len(l.wants) > 0 && s.free(l.at) && (best == nil || s.before(l.at, best.at)) {
			best = l
		}
	}
	return best
}

func (s *tokens) locked(d ivd.DiskRef) bool {
	return d.ID() != "" && s.disks[identity{d.Source(), d.ID()}]
}

func (s *tokens) free(p place) bool {
	limit, limited := s.limits.Datastore[p.source]
	return !limited || s.held[p] < limit
}

// before reports whether a is to be served before b: it has fewer disks under way or,
// with as many, fewer that are done.
func (s *tokens) before(a, b place) bool {
	return cmp.Or(cmp.Compare(s.held[a], s.held[b]), cmp.Compare(s.done[a], s.done[b])) < 0
}
