package serve

import (
	"context"
	"errors"
	"testing"
	"time"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
)

// Each vCenter has names of its own for its ids; it is asked seldom, and one that
// does not answer takes no name away.
func TestNamesOfDatastores(t *testing.T) {
	asked, now := 0, time.Unix(1e9, 0)
	var away error
	n := newNames(func(_ context.Context, source ivd.SourceID) ([]inventory.Datastore, error) {
		asked++
		return []inventory.Datastore{{ID: "datastore-52", Name: string(source) + "-nvme"}}, away
	})
	n.now = func() time.Time { return now }
	want := func(source ivd.SourceID, id, name string, asks int) {
		t.Helper()
		if got := n.of(t.Context(), source, ivd.DatastoreID(id)); got != name || asked != asks {
			t.Errorf("%s of %s is %q after %d questions, want %q after %d", id, source, got, asked, name, asks)
		}
	}
	want("one", "datastore-52", "one-nvme", 1)
	want("two", "datastore-52", "two-nvme", 2)
	want("one", "datastore-52", "one-nvme", 2)
	want("one", "datastore-99", "", 2) // the list is fresh
	now = now.Add(namesAgain)
	want("one", "datastore-99", "", 3)
	away = errors.New("away")
	now = now.Add(namesLife)
	want("one", "datastore-52", "one-nvme", 4)
	want("three", "datastore-52", "", 5)
	want("three", "datastore-52", "", 5)
	away = nil
	now = now.Add(namesAgain)
	want("three", "datastore-52", "three-nvme", 6)
}
