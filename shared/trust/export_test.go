package trust

import "time"

// Due is for tests outside of the package.
var Due = due

// Later has the lists be as old as if so much time had passed.
func (t *Trust) Later(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.read = t.read.Add(-d)
}
