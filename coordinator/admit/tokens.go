package admit

import (
	"cmp"

	"ivdmover/shared/ivd"
)

// Token is one of something of which there are few. Equal tokens stand for the
// same thing.
type Token struct {
	kind   kind
	source ivd.SourceID
	name   string
}

type kind uint8

const (
	slot      kind = iota + 1 // of the fleet
	datastore                 // of a source
	host                      // of a source
	writer                    // of the fleet: a disk that is written to
	disk                      // of a source: wherever it lies, it may be relocated between two lists
)

// Slot is one of the disks that the fleet can have under way.
func Slot() Token { return Token{kind: slot} }

// Writer is one of the disks that the fleet can have under way that are written to,
// beside its Slot.
func Writer() Token { return Token{kind: writer} }

// Datastore is one of the disks that may be under way on a datastore.
func Datastore(source ivd.SourceID, id ivd.DatastoreID) Token {
	return Token{kind: datastore, source: source, name: string(id)}
}

// Host is one of the disks that may be under way through an ESXi host.
func Host(source ivd.SourceID, id ivd.HostID) Token {
	return Token{kind: host, source: source, name: string(id)}
}

// Disk is the disk itself, which no two hold at once.
func Disk(source ivd.SourceID, id ivd.DiskID) Token {
	return Token{kind: disk, source: source, name: string(id)}
}

// OfDisk is what it takes to have one disk under way. A disk that is yet to be made
// is held by nobody else. Through is the ESXi host that it is opened through, empty
// where that is not known.
func OfDisk(ref ivd.DiskRef, through ivd.HostID) []Token {
	tokens := []Token{Slot(), Datastore(ref.Source(), ref.Datastore())}
	if through != "" {
		tokens = append(tokens, Host(ref.Source(), through))
	}
	if ref.Made() {
		tokens = append(tokens, Disk(ref.Source(), ref.ID()))
	}
	return tokens
}

// LineOf is the datastore whose line a want stands in: the first that it names.
func LineOf(tokens []Token) Token {
	for _, t := range tokens {
		if t.kind == datastore {
			return t
		}
	}
	return Token{}
}

// state is who holds what.
type state struct {
	limits Limits
	held   map[Token]int  // under way
	kept   map[Token]bool // hosts that a want waits for: nobody else starts there
	done   Served
}

func newState(limits Limits, holding []Holding, served Served) *state {
	s := &state{limits: limits, held: map[Token]int{}, kept: map[Token]bool{}, done: served}
	for _, h := range holding {
		s.take(h)
	}
	return s
}

func (s *state) take(tokens []Token) {
	for _, t := range tokens {
		s.held[t]++
	}
}

// limit is how many there are of a token.
func (s *state) limit(t Token) (n int, limited bool) {
	switch t.kind {
	case slot:
		return s.limits.Fleet, true
	case writer:
		return s.limits.Writers, true
	case datastore:
		n, limited = s.limits.Datastore[t.source]
		return n, limited
	case host:
		n, limited = s.limits.Host[t.source]
		return n, limited
	case disk:
		return 1, true
	}
	return 0, false
}

// pick is the line to serve next, with a want that may start at its head; nil when
// none may. Full: its want waits for slots of the fleet. Wants whose disk or host is
// held, or for which no mover writes, are dropped from the heads: so it stays for the
// rest of this decision.
func (s *state) pick(lines []*line) (best *line, full bool) {
	for again := true; again; { // what one head keeps, another may want
		again = false
		for _, l := range lines {
			for len(l.wants) > 0 && !s.here(l.wants[0].Tokens) {
				l.wants = l.wants[1:]
				again = true
			}
		}
	}
	for _, l := range lines {
		if len(l.wants) > 0 && s.free(l.wants[0].Tokens, datastore) && (best == nil || s.before(l.at, best.at)) {
			best = l
		}
	}
	return best, best != nil && !s.free(best.wants[0].Tokens, slot)
}

// here reports whether a want's disks, its writers and its hosts are free. Where a host is not, all hosts
// of the want are kept for it, so that smaller wants do not pass it by for ever.
func (s *state) here(tokens []Token) bool {
	if !s.free(tokens, disk) || !s.free(tokens, writer) {
		return false
	}
	if s.free(tokens, host) {
		return true
	}
	for _, t := range tokens {
		if t.kind == host {
			s.kept[t] = true
		}
	}
	return false
}

// free reports whether all tokens of a kind among these are free: as many as are
// asked for, or all that there are.
func (s *state) free(tokens []Token, of kind) bool {
	need := map[Token]int{}
	for _, t := range tokens {
		if t.kind == of {
			need[t]++
		}
	}
	for t, n := range need {
		if s.kept[t] {
			return false
		}
		limit, limited := s.limit(t)
		if limited && s.held[t]+min(n, limit) > limit || limited && limit <= 0 {
			return false
		}
	}
	return true
}

// before reports whether a is to be served before b: it has fewer disks under way or,
// with as many, fewer that are done.
func (s *state) before(a, b Token) bool {
	return cmp.Or(cmp.Compare(s.held[a], s.held[b]), cmp.Compare(s.done[a], s.done[b])) < 0
}
