package vcenter

import (
	"reflect"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab/script"
)

// spaces are how much of each datastore is free, as datastores.json says.
type spaces struct {
	mu    sync.Mutex
	heeds []script.Space   // what was read last; guarded by mu, like free
	free  map[string]int64 // by the datastore's name
}

// heedSpaces has the datastores be as datastores.json says, where it has changed. Where
// it cannot be so, that is told, and they stay as they are.
func (v *VCenter) heedSpaces() {
	said, err := script.ReadSpaces(v.o.Dir)
	if err != nil {
		v.o.Log.Error("datastores.json is ignored", "err", err)
		return
	}
	v.spaces.mu.Lock()
	defer v.spaces.mu.Unlock()
	if reflect.DeepEqual(said, v.spaces.heeds) {
		return
	}
	v.spaces.heeds, v.spaces.free = said, map[string]int64{}
	for _, s := range said {
		shown := s.Free
		if s.Shown != nil {
			shown = *s.Shown
		}
		if _, ok := v.datastores[s.Datastore]; !ok || s.Capacity <= 0 || min(shown, s.Free) < 0 || max(shown, s.Free) > s.Capacity {
			v.o.Log.Error("an entry of datastores.json is ignored: no such datastore, or more is free than there is", "datastore", s.Datastore)
			continue
		}
		v.spaces.free[s.Datastore] = s.Free
		v.withDatastore(s.Datastore, func(ds *simulator.Datastore) {
			ds.Summary.Capacity = s.Capacity
			show(ds, shown)
		})
	}
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
