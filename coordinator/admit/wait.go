package admit

import "fmt"

// Waits says for what each of the wants waits that may not start now; empty where it is
// for nothing but its turn.
func Waits(limits Limits, holding []Holding, waiting []Want) []string {
	s := newState(limits, holding, nil)
	texts := make([]string, len(waiting))
	for i, w := range waiting {
		texts[i] = s.lacks(w.Tokens)
	}
	return texts
}

// lacks is what of the tokens is not free, the narrowest first.
func (s *state) lacks(tokens []Token) string {
	for _, k := range []kind{disk, host, datastore, writer, slot} {
		for _, t := range tokens {
			if t.kind != k || s.enough(t, tokens) {
				continue
			}
			switch n, _ := s.limit(t); {
			case k == disk:
				return "the disk: another run works on it"
			case k == host:
				return fmt.Sprintf("host %s: %d of its disks at a time (limits.host_handles)", t.name, n)
			case k == datastore:
				return fmt.Sprintf("datastore %s: %d of its disks at a time (limits.datastore_handles)", t.name, n)
			case n == 0 && k == writer && s.limits.Fleet > 0:
				return "a mover that writes"
			case n == 0:
				return "a mover"
			case k == writer:
				return fmt.Sprintf("the movers that write: %d disks at a time", n)
			default:
				return fmt.Sprintf("the movers: %d disks at a time", n)
			}
		}
	}
	return ""
}

// enough reports whether as many of a token are free as are among some, or all that there
// are.
func (s *state) enough(t Token, among []Token) bool {
	limit, limited := s.limit(t)
	need := 0
	for _, x := range among {
		if x == t {
			need++
		}
	}
	return !limited || limit > 0 && s.held[t]+min(need, limit) <= limit
}
