package inventory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
	"ivdmover/shared/spelling"
)

// Datastore is a place of disks. Sizes are bytes.
type Datastore struct {
	ID         ivd.DatastoreID
	Name       string // unique within its datacenter only
	Datacenter string
	Type       string // as vSphere calls it: "VMFS", "NFS", "NFS41", "vsan", "VVOL", …
	Capacity   int64
	Free       int64
	URL        string // by it the datastore is known to every vCenter: "ds:///vmfs/volumes/…"
	Accessible bool
	LUNs       []string // of a VMFS datastore: its SCSI disks by canonical name, "naa.6…"
}

// Datastores lists those of every datacenter, by name.
func (v *VCenter) Datastores(ctx context.Context) ([]Datastore, error) {
	op := "vCenter " + v.cfg.Name + ": list datastores"
	centers, err := v.datacenters(ctx)
	if err != nil {
		return nil, fail(ctx, op, err)
	}
	var refs []types.ManagedObjectReference
	home := map[types.ManagedObjectReference]string{}
	for _, dc := range centers {
		for _, ref := range dc.Datastore {
			if _, seen := home[ref]; !seen {
				home[ref] = dc.Name
				refs = append(refs, ref)
			}
		}
	}
	if len(refs) == 0 {
		return nil, nil
	}
	var stores []mo.Datastore
	if err := property.DefaultCollector(v.client()).Retrieve(ctx, refs, []string{"summary", "info"}, &stores); err != nil {
		return nil, fail(ctx, op, err)
	}
	list := make([]Datastore, 0, len(stores))
	for _, d := range stores {
		s := d.Summary
		list = append(list, Datastore{
			ID: ivd.DatastoreID(d.Self.Value), Name: s.Name, Datacenter: home[d.Self], Type: s.Type, URL: s.Url,
			Capacity: s.Capacity, Free: s.FreeSpace, Accessible: s.Accessible, LUNs: luns(d.Info),
		})
	}
	slices.SortFunc(list, func(a, b Datastore) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Datacenter, b.Datacenter), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// luns are the SCSI disks that a VMFS datastore lies on; others have none.
func luns(info types.BaseDatastoreInfo) []string {
	vmfs, ok := info.(*types.VmfsDatastoreInfo)
	if !ok || vmfs.Vmfs == nil {
		return nil
	}
	var names []string
	for _, e := range vmfs.Vmfs.Extent {
		names = append(names, e.DiskName)
	}
	return names
}

// datacenters of all folders, with their datastores.
func (v *VCenter) datacenters(ctx context.Context) ([]mo.Datacenter, error) {
	root := v.client().ServiceContent.RootFolder
	all, err := view.NewManager(v.client()).CreateContainerView(ctx, root, []string{"Datacenter"}, true)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := all.Destroy(context.WithoutCancel(ctx)); err != nil {
			v.log.Debug("destroy a view", "err", err)
		}
	}()
	var centers []mo.Datacenter
	return centers, all.Retrieve(ctx, []string{"Datacenter"}, []string{"name", "datastore"}, &centers)
}

// Datastore finds one by its name or id. A name that several datacenters have is
// refused, with the ids to choose from.
func (v *VCenter) Datastore(ctx context.Context, nameOrID string) (Datastore, error) {
	all, err := v.Datastores(ctx)
	if err != nil {
		return Datastore{}, err
	}
	var named []Datastore
	for _, d := range all {
		if string(d.ID) == nameOrID {
			return d, nil
		}
		if d.Name == nameOrID {
			named = append(named, d)
		}
	}
	op := fmt.Sprintf("vCenter %s: datastore %q", v.cfg.Name, nameOrID)
	switch len(named) {
	case 1:
		return named[0], nil
	case 0:
		return Datastore{}, &ivd.Error{
			Kind: ivd.NotFound, Op: op, Err: fmt.Errorf("not one of its %d datastores", len(all)),
			Remedy: "give a name or id that is there: " + strings.Join(nearest(nameOrID, all), ", "),
		}
	}
	var ids []string
	for _, d := range named {
		ids = append(ids, fmt.Sprintf("%s in %s", d.ID, d.Datacenter))
	}
	return Datastore{}, &ivd.Error{Kind: ivd.Invalid, Op: op, Err: fmt.Errorf("%d datastores have this name", len(named)), Remedy: "give the id: " + strings.Join(ids, ", ")}
}

// nearest is the up to five names that are most like the one given.
func nearest(name string, all []Datastore) []string {
	var names []string
	for _, d := range all {
		names = append(names, d.Name)
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(spelling.Distance(name, a), spelling.Distance(name, b)) })
	names = slices.Compact(names)
	return names[:min(len(names), 5)]
}
