package inventory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// refreshLife is how long the figures of a datastore that vSphere was asked to refresh
// are taken as they are.
const refreshLife = time.Minute

// refreshes remembers when each datastore's figures were refreshed.
type refreshes struct {
	mu   sync.Mutex
	last map[ivd.DatastoreID]time.Time // guarded by mu
}

// due reports whether a datastore's figures are to be refreshed: the asker does it.
func (r *refreshes) due(id ivd.DatastoreID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.last[id]) < refreshLife {
		return false
	}
	r.last[id] = time.Now()
	return true
}

// roomFor refuses a snapshot (kind Full) on a datastore of which less is free than the
// configuration wants: it grows by what is written meanwhile, and a datastore that is
// full stops the machines on it. vSphere's figures may be old: before a refusal it is
// asked to look again.
func (v *VCenter) roomFor(ctx context.Context, id ivd.DatastoreID) error {
	if v.cfg.FreeSpace <= 0 {
		return nil
	}
	s, err := v.space(ctx, id)
	if err != nil || v.enough(s) {
		return err
	}
	if v.refreshes.due(id) {
		if _, err := methods.RefreshDatastore(ctx, v.client(), &types.RefreshDatastore{This: datastoreRef(id)}); err != nil {
			v.log.Debug("refreshing a datastore's figures failed", "datastore", s.Name, "err", fail(ctx, "refresh datastore "+s.Name, err))
		}
		if s, err = v.space(ctx, id); err != nil || v.enough(s) {
			return err
		}
	}
	return &ivd.Error{
		Kind:   ivd.Full,
		Err:    fmt.Errorf("no snapshot is made on datastore %s of vCenter %s: %.1f%% of it is free, and %g%% is to be", s.Name, v.cfg.Name, share(s), v.cfg.FreeSpace),
		Remedy: "free space on the datastore, or lower vcenters[].limits.free_space",
	}
}

func (v *VCenter) space(ctx context.Context, id ivd.DatastoreID) (types.DatastoreSummary, error) {
	var d mo.Datastore
	err := property.DefaultCollector(v.client()).RetrieveOne(ctx, datastoreRef(id), []string{"summary"}, &d)
	return d.Summary, fail(ctx, fmt.Sprintf("ask how much of datastore %s is free", id), err)
}

// enough reports whether as much is free as is wanted. The figures of a datastore that is
// not accessible say nothing (DataObject DatastoreSummary): vSphere decides about it.
func (v *VCenter) enough(s types.DatastoreSummary) bool {
	return !s.Accessible || s.Capacity <= 0 || share(s) >= v.cfg.FreeSpace
}

// share is how much of a datastore is free, in percent.
func share(s types.DatastoreSummary) float64 { return 100 * float64(s.FreeSpace) / float64(s.Capacity) }
