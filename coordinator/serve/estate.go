package serve

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/examine"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/news"
	"ivdmover/shared/ivd"
)

// askAtOnce bounds what is asked of one vCenter at once.
const askAtOnce = 8

// estate answers for all vCenters together. What one of them cannot tell is named in
// the list, which has the rest: one that is short without saying so misleads.
type estate struct {
	vcenters  *inventory.Sources
	catalogue *catalogue.Catalogue
	house     *house // who knows which snapshots are worked with
	names     *names
	now       func() time.Time
}

func newEstate(vcenters *inventory.Sources, points *catalogue.Catalogue, h *house) *estate {
	e := &estate{vcenters: vcenters, catalogue: points, house: h, now: time.Now}
	e.names = newNames(e.datastores)
	return e
}

// Names is what a source and a datastore of it are called; the latter is empty
// where that is not known.
func (e *estate) Names(ctx context.Context, source ivd.SourceID, id ivd.DatastoreID) (vcenter, datastore string) {
	return e.vcenters.Label(source), e.names.of(ctx, source, id)
}

func (e *estate) datastores(ctx context.Context, source ivd.SourceID) ([]inventory.Datastore, error) {
	v, err := e.vcenters.Of(source)
	if err != nil {
		return nil, err
	}
	return v.Datastores(ctx)
}

// Disks lists the disks of all vCenters with the last restore point of each.
func (e *estate) Disks(ctx context.Context, q api.DiskQuery) ([]api.Disk, error) {
	last, err := e.catalogue.Last(ctx)
	if err != nil {
		return nil, err
	}
	all, err := e.list(ctx, q.Datastore)
	if err != nil {
		return nil, err
	}
	var disks []api.Disk
	for _, d := range all {
		point, protected := last[catalogue.Disk{Source: d.Ref.Source(), ID: d.Ref.ID()}]
		if q.Unprotected && (protected || d.Unfinished != "") {
			continue
		}
		out := diskOf(d)
		if protected {
			out.LastPoint, out.LastPointTime = &point, point.Time()
		}
		if protected && out.Capacity == 0 && d.err == nil { // vSphere counts whole MiB
			if p, err := e.catalogue.Point(ctx, point); err == nil {
				out.Capacity = p.Geometry.Capacity
			}
		}
		disks = append(disks, out)
	}
	return disks, nil
}

func diskOf(d listed) api.Disk {
	out := api.Disk{
		ID: d.Ref.ID(), Name: d.Name, Datastore: d.DatastoreName, DatastoreID: d.Ref.Datastore(), VCenter: d.vcenter,
		Capacity: d.Capacity, CBT: d.CBT, Thin: d.Thin, Encrypted: d.Encrypted, Created: d.Created, Metadata: d.Metadata, Unfinished: d.Unfinished,
		Unsure: ivd.FailureOf(d.Unsure), Failure: ivd.FailureOf(d.err),
	}
	for _, vm := range d.AttachedTo {
		out.AttachedTo = append(out.AttachedTo, cmp.Or(vm.Name, vm.ID))
	}
	slices.Sort(out.AttachedTo)
	return out
}

// listed is a disk, or with an error what could not be listed.
type listed struct {
	inventory.Disk
	vcenter string
	err     error
}

// at is the vCenter of a disk that could be listed.
func (e *estate) at(d listed) (*inventory.VCenter, error) {
	if d.err != nil {
		return nil, d.err
	}
	return e.vcenters.Of(d.Ref.Source())
}

// list asks all vCenters at once, and puts their disks in order. Only a datastore that
// is nowhere, or the end of ctx, is an error of its own.
func (e *estate) list(ctx context.Context, datastore string) ([]listed, error) {
	var mu sync.Mutex
	var all []listed // guarded by mu, like found
	found := datastore == ""
	var group errgroup.Group
	for _, a := range e.vcenters.Away() {
		all = append(all, listed{vcenter: a.Name, err: a.Err})
	}
	for _, v := range e.vcenters.All() {
		group.Go(func() error {
			stores, err := v.Datastores(ctx)
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, listed{inventory.Disk{Ref: ivd.NewDiskRef(v.Source(), "", "")}, v.Name(), err})
				return nil
			}
			for _, store := range stores {
				if datastore != "" && datastore != store.Name && datastore != string(store.ID) && store.Sick == nil {
					continue
				}
				mu.Lock()
				found = found || store.Sick == nil
				mu.Unlock()
				for d, err := range v.DisksOf(ctx, store) {
					mu.Lock()
					all = append(all, listed{d, v.Name(), err})
					mu.Unlock()
				}
			}
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if !found && len(all) == 0 {
		return nil, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no vCenter has a datastore %q", datastore), Remedy: "give the name or the id of one, as `ivd disks` shows it"}
	}
	slices.SortFunc(all, func(a, b listed) int {
		return cmp.Or(cmp.Compare(a.Ref.Source(), b.Ref.Source()), cmp.Compare(a.vcenter, b.vcenter), cmp.Compare(a.DatastoreName, b.DatastoreName),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Ref.ID(), b.Ref.ID()))
	})
	return all, nil
}

// Snapshots lists those that this program has made, whatever repository it was for, the
// oldest first.
func (e *estate) Snapshots(ctx context.Context) ([]api.Snapshot, error) {
	disks, err := e.list(ctx, "")
	if err != nil {
		return nil, err
	}
	found := make([][]api.Snapshot, len(disks))
	var asked atomic.Int64
	var group errgroup.Group
	group.SetLimit(askAtOnce)
	for i, d := range disks {
		group.Go(func() error {
			found[i] = e.snapshotsOf(ctx, d)
			news.Tell(ctx, "asked %d of %d disks for their snapshots", asked.Add(1), len(disks))
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	snapshots := slices.Concat(found...)
	slices.SortStableFunc(snapshots, func(a, b api.Snapshot) int { return a.Created.Compare(b.Created) })
	return snapshots, nil
}

func (e *estate) snapshotsOf(ctx context.Context, d listed) []api.Snapshot {
	var list []inventory.Snapshot
	v, err := e.at(d)
	if err == nil {
		list, err = v.ListSnapshots(ctx, d.Ref)
	}
	if d.err == nil && ivd.KindOf(err) == ivd.NotFound {
		return nil // the disk went meanwhile
	}
	of := api.Snapshot{Disk: d.Ref.ID(), Name: d.Name, VCenter: d.vcenter, Datastore: d.DatastoreName}
	if err != nil {
		of.Failure = ivd.FailureOf(err)
		return []api.Snapshot{of}
	}
	var ours []api.Snapshot
	for _, s := range list {
		if _, ok := backup.ReadMark(s.Description); !ok && !examine.Ours(s.Description) {
			continue
		}
		one := of
		one.ID, one.Description, one.Created, one.AgeSeconds = s.ID, s.Description, s.Created, max(0, int64(e.now().Sub(s.Created).Seconds()))
		e.whose(&one)
		ours = append(ours, one)
	}
	return ours
}
