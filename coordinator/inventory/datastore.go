package inventory

import (
	"cmp"
	"context"
	"errors"
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
	Sick       error    // why vSphere tells no more of it than its id; of a datacenter's datastores together, where ID is empty
}

// usable returns why the disks of a datastore cannot be listed, or nil.
func (v *VCenter) usable(d Datastore) error {
	switch {
	case d.Sick != nil:
		return d.Sick
	case !d.Accessible:
		return &ivd.Error{
			Kind: ivd.Transient, Err: fmt.Errorf("datastore %s of vCenter %s is not accessible", d.Name, v.cfg.Name),
			Remedy: "look in vSphere at the hosts that mount it",
		}
	}
	return nil
}

// Datastores lists those of every datacenter, by name. One that vSphere does not tell
// of is listed as sick and hides no other.
func (v *VCenter) Datastores(ctx context.Context) ([]Datastore, error) {
	op := "vCenter " + v.cfg.Name + ": list datastores"
	centers, list, err := v.datacenters(ctx, op)
	if err != nil {
		return nil, err
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
	stores, sick, err := each[mo.Datastore](ctx, v, op, refs, []string{"summary", "info"})
	if err != nil {
		return nil, err
	}
	for _, d := range stores {
		s := d.Summary
		list = append(list, Datastore{
			ID: ivd.DatastoreID(d.Self.Value), Name: s.Name, Datacenter: home[d.Self], Type: s.Type, URL: s.Url,
			Capacity: s.Capacity, Free: s.FreeSpace, Accessible: s.Accessible, LUNs: luns(d.Info),
		})
	}
	for ref, err := range sick {
		list = append(list, Datastore{ID: ivd.DatastoreID(ref.Value), Name: ref.Value, Datacenter: home[ref], Sick: err})
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

// datacenters of all folders, with their datastores; sick stands for the datastores of
// those that vSphere does not tell of.
func (v *VCenter) datacenters(ctx context.Context, op string) (centers []mo.Datacenter, sick []Datastore, err error) {
	var refs []types.ManagedObjectReference
	err = v.readAgain.Do(ctx, func(ctx context.Context) error {
		refs, err = v.viewed(ctx, "Datacenter")
		return fail(ctx, op, err)
	})
	if err != nil {
		return nil, nil, err
	}
	centers, bad, err := each[mo.Datacenter](ctx, v, op, refs, []string{"name", "datastore"})
	for ref, err := range bad {
		sick = append(sick, Datastore{Name: "those of " + ref.Value, Datacenter: ref.Value, Sick: err})
	}
	return centers, sick, err
}

// viewed are the objects of a kind in all folders. A view ends with its session: one
// that was made just before the session was renewed is made again.
func (v *VCenter) viewed(ctx context.Context, kind string) ([]types.ManagedObjectReference, error) {
	refs, err := v.viewOnce(ctx, kind)
	if faultName(err) == "ManagedObjectNotFound" {
		refs, err = v.viewOnce(ctx, kind)
	}
	return refs, err
}

func (v *VCenter) viewOnce(ctx context.Context, kind string) ([]types.ManagedObjectReference, error) {
	root := v.client().ServiceContent.RootFolder
	all, err := view.NewManager(v.client()).CreateContainerView(ctx, root, []string{kind}, true)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := all.Destroy(context.WithoutCancel(ctx)); err != nil {
			v.log.Debug("destroy a view", "err", err)
		}
	}()
	var list mo.ContainerView
	err = property.DefaultCollector(v.client()).RetrieveOne(ctx, all.Reference(), []string{"view"}, &list)
	return list.View, err
}

// Datastore finds one by its name or id. A name that several datacenters have is
// refused, with the ids to choose from.
func (v *VCenter) Datastore(ctx context.Context, nameOrID string) (Datastore, error) {
	all, err := v.Datastores(ctx)
	if err != nil {
		return Datastore{}, err
	}
	var named []Datastore
	var sick []error
	for _, d := range all {
		if string(d.ID) == nameOrID {
			return d, d.Sick
		}
		if d.Sick != nil {
			sick = append(sick, d.Sick)
		} else if d.Name == nameOrID {
			named = append(named, d)
		}
	}
	op := fmt.Sprintf("vCenter %s: datastore %q", v.cfg.Name, nameOrID)
	switch {
	case len(named) == 1:
		return named[0], nil
	case len(named) == 0 && len(sick) > 0: // one of them may have the name
		return Datastore{}, fmt.Errorf("%s: %w", op, errors.Join(sick...))
	case len(named) == 0:
		return Datastore{}, &ivd.Error{
			Kind: ivd.NotFound, Op: op, Err: fmt.Errorf("not one of its %d datastores", len(all)),
			Remedy: "give a name or id that is there: " + strings.Join(nearest(nameOrID, all), ", "),
		}
	}
	var ids []string
	for _, d := range named {
		ids = append(ids, fmt.Sprintf("%s in %s", d.ID, d.Datacenter))
	}
	return Datastore{}, &ivd.Error{Kind: ivd.Unmet, Op: op, Err: fmt.Errorf("%d datastores have this name", len(named)), Remedy: "give the id: " + strings.Join(ids, ", ")}
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
