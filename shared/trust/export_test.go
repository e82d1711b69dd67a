package trust

import (
	"context"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Due is for tests outside of the package.
var Due = due

// Later has the lists be as old as if so much time had passed.
func (t *Trust) Later(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.read = t.read.Add(-d)
}

// Pack reports whether a new point may name one pack.
func (t *Trust) Pack(ctx context.Context, kind format.PackKind, pack ivd.PackID, knownAt time.Time) (bool, error) {
	bad, err := t.Packs(ctx, map[ivd.PackID]format.PackKind{pack: kind}, knownAt)
	return err == nil && len(bad) == 0, err
}
