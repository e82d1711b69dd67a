package restore

import (
	"context"
	"sync"
	"time"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
)

// How old what is known of the names of a datastore's disks may be: of a request, which
// may come a second time at once, and of what follows it. Disks that are new are always
// asked about, and so is one that is known by the name that is looked for. What may be
// missed is an old disk that somebody has renamed to that name since.
const (
	namesAsked = time.Minute
	namesKept  = 24 * time.Hour
)

// place is where restores make their disks.
type place struct {
	source    ivd.SourceID
	datastore ivd.DatastoreID
}

// names keeps what the disks of datastores are called: vSphere finds none by its name,
// and to ask about every disk for each restore would cost what the datastore has.
type names struct {
	now func() time.Time

	mu sync.Mutex
	of map[place]*placeNames // guarded by mu
}

// placeNames are those of one datastore.
type placeNames struct {
	mu    sync.Mutex            // held while vSphere is asked
	read  time.Time             // guarded by mu: when all disks were asked about; zero: never
	known map[ivd.DiskID]string // guarded by mu
}

func (n *names) at(p place) *placeNames {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of[p] == nil {
		n.of[p] = &placeNames{}
	}
	return n.of[p]
}

// named are the disks of that name on a datastore, as look finds them.
func (n *names) named(ctx context.Context, v *inventory.VCenter, ds ivd.DatastoreID, name string, age time.Duration) (list []inventory.Disk, sick []error, err error) {
	return n.look(ctx, v, ds, age, func(is string) bool { return is == name })
}

// look finds the disks of a datastore whose name is wanted, as they are now, by names
// that are at most so old. Sick says why of some disks it is not known what they are
// called.
func (n *names) look(ctx context.Context, v *inventory.VCenter, ds ivd.DatastoreID, age time.Duration, wanted func(name string) bool) (list []inventory.Disk, sick []error, err error) {
	p := n.at(place{v.Source(), ds})
	p.mu.Lock()
	defer p.mu.Unlock()
	store, err := v.Datastore(ctx, string(ds))
	if err != nil {
		return nil, nil, err
	}
	began := n.now()
	there, err := v.IDs(ctx, store)
	if err != nil {
		return nil, nil, err
	}
	whole := p.read.IsZero() || began.Sub(p.read) > age
	known := make(map[ivd.DiskID]string, len(there))
	var ask []ivd.DiskID
	for _, id := range there {
		name, ok := p.known[id]
		if whole || !ok || wanted(name) {
			ask = append(ask, id)
		} else {
			known[id] = name
		}
	}
	for d, err := range v.Some(ctx, store, ask) {
		switch {
		case err != nil && d.Ref.ID() == "":
			return nil, nil, err
		case err != nil:
			sick = append(sick, err)
			continue
		case wanted(d.Name):
			list = append(list, d)
		}
		known[d.Ref.ID()] = d.Name
	}
	if p.known = known; whole {
		p.read = began
	}
	return list, sick, nil
}
