package telemetry

import (
	"sync"
	"time"
)

// SeldomEvery is how often a log has a line about what holds for many at once.
const SeldomEvery = 5 * time.Minute

// Seldom keeps a log from saying the same for each of many: a secret that is withheld
// keeps all disks waiting. The zero Seldom has said nothing. It is safe for concurrent
// use.
type Seldom struct {
	mu   sync.Mutex
	said time.Time
}

// Due reports whether a line is due, and takes it as said.
func (s *Seldom) Due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.said.IsZero() || now.Sub(s.said) >= SeldomEvery {
		s.said = now
		return true
	}
	return false
}
