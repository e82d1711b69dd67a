package repo

import (
	"context"
	"testing"

	"ivdmover/shared/ivd"
)

// SetStoredEntries has lists of packs cut into parts of n, until the test's end.
func SetStoredEntries(t *testing.T, n int) {
	old := storedEntries
	storedEntries = n
	t.Cleanup(func() { storedEntries = old })
}

// IsCondemned reports whether a condemned list names a point, as readers ask.
func (r *Repository) IsCondemned(ctx context.Context, id ivd.PointID) (bool, error) {
	return r.isCondemned(ctx, id)
}
