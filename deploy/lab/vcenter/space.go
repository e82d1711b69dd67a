package vcenter

import (
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// spaces are how much of each datastore is free, by its name, where that was said.
type spaces struct {
	mu   sync.Mutex
	free map[string]int64 // guarded by mu
}

// SetSpace says how large a datastore is, and how much of it is free: shown is what its
// summary says until it is refreshed.
func (v *VCenter) SetSpace(name string, capacity, shown, free int64) error {
	if _, ok := v.datastores[name]; !ok || capacity <= 0 || shown < 0 || free < 0 || max(shown, free) > capacity {
		return ivd.Errorf(ivd.Invalid, "datastore %q with %d of %d bytes free, and %d of them shown", name, free, capacity, shown)
	}
	v.spaces.mu.Lock()
	defer v.spaces.mu.Unlock()
	if v.spaces.free == nil {
		v.spaces.free = map[string]int64{}
	}
	v.spaces.free[name] = free
	v.withDatastore(name, func(ds *simulator.Datastore) {
		ds.Summary.Capacity = capacity
		show(ds, shown)
	})
	return nil
}

// show has a datastore's properties say how much of it is free.
func show(ds *simulator.Datastore, free int64) {
	ds.Summary.FreeSpace = free
	ds.Info.GetDatastoreInfo().FreeSpace = free
}

// withDatastore calls f with a simulated datastore locked.
func (v *VCenter) withDatastore(name string, f func(*simulator.Datastore)) {
	if ds, ok := v.reg.Get(v.datastores[name]).(*simulator.Datastore); ok {
		v.call().WithLock(ds, func() { f(ds) })
	}
}

// datastore answers a Datastore's calls about its space.
type datastore struct {
	unlocked
	v    *VCenter
	name string
}

// Reference names the object to the simulator.
func (d *datastore) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: own, Value: d.name}
}

// RefreshDatastore has the datastore's properties say what is free.
func (d *datastore) RefreshDatastore(*simulator.Context, *types.RefreshDatastore) soap.HasFault {
	d.v.spaces.mu.Lock()
	defer d.v.spaces.mu.Unlock()
	if free, said := d.v.spaces.free[d.name]; said {
		d.v.withDatastore(d.name, func(ds *simulator.Datastore) { show(ds, free) })
	}
	return &methods.RefreshDatastoreBody{Res: &types.RefreshDatastoreResponse{}}
}
