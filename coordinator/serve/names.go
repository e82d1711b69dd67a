package serve

import (
	"context"
	"sync"
	"time"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
)

const (
	namesLife  = 5 * time.Minute // a datastore may be renamed
	namesAgain = time.Minute     // after an answer that did not come, or did not have the datastore
	namesWait  = 5 * time.Second // whoever asks wants something else, too
)

// names remembers what datastores are called. A vCenter that does not answer soon
// costs nobody more than a short wait now and then: the ids are shown instead.
type names struct {
	list func(ctx context.Context, source ivd.SourceID) ([]inventory.Datastore, error)
	now  func() time.Time

	mu    sync.Mutex                 // held while a vCenter is asked: once for all who want to know
	known map[ivd.SourceID]*nameList // guarded by mu
}

// nameList is what one vCenter has said, and when it was asked.
type nameList struct {
	asked time.Time
	names map[ivd.DatastoreID]string
}

func newNames(list func(context.Context, ivd.SourceID) ([]inventory.Datastore, error)) *names {
	return &names{list: list, now: time.Now, known: map[ivd.SourceID]*nameList{}}
}

// of is a datastore's name, or nothing.
func (n *names) of(ctx context.Context, source ivd.SourceID, id ivd.DatastoreID) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	k, age := n.known[source], namesAgain
	if k == nil {
		k = &nameList{}
		n.known[source] = k
	}
	if k.names[id] != "" {
		age = namesLife
	}
	if k.asked.IsZero() || n.now().Sub(k.asked) >= age {
		n.ask(ctx, source, k)
	}
	return k.names[id]
}

// ask asks a vCenter, and keeps what was known where it does not answer.
func (n *names) ask(ctx context.Context, source ivd.SourceID, k *nameList) {
	ctx, stop := context.WithTimeout(ctx, namesWait)
	defer stop()
	k.asked = n.now()
	stores, err := n.list(ctx, source)
	if err != nil {
		return
	}
	k.names = make(map[ivd.DatastoreID]string, len(stores))
	for _, d := range stores {
		k.names[d.ID] = d.Name
	}
}
