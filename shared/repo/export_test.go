package repo

import "testing"

// SetStoredEntries has lists of packs cut into parts of n, until the test's end.
func SetStoredEntries(t *testing.T, n int) {
	old := storedEntries
	storedEntries = n
	t.Cleanup(func() { storedEntries = old })
}
