package serve

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/examine"
	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
)

// askAtOnce bounds what is asked of one vCenter at once.
const askAtOnce = 8

// estate answers for all vCenters together. An answer that one of them cannot
// give fails the whole: a list that is short without saying so misleads.
type estate struct {
	vcenters  inventory.Sources
	catalogue *catalogue.Catalogue
	names     *names
	now       func() time.Time
}

func newEstate(vcenters inventory.Sources, points *catalogue.Catalogue) *estate {
	e := &estate{vcenters: vcenters, catalogue: points, now: time.Now}
	e.names = newNames(e.datastores)
	return e
}

// Names is what a source and a datastore of it are called; the latter is empty
// where that is not known.
func (e *estate) Names(ctx context.Context, source ivd.SourceID, id ivd.DatastoreID) (vcenter, datastore string) {
	return labels(e.vcenters)(source), e.names.of(ctx, source, id)
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
	all, err := e.list(ctx)
	if err != nil {
		return nil, err
	}
	var disks []api.Disk
	for _, d := range all {
		point, protected := last[catalogue.Disk{Source: d.Ref.Source(), ID: d.Ref.ID()}]
		wanted := q.Datastore == "" || q.Datastore == d.DatastoreName || q.Datastore == string(d.Ref.Datastore())
		if !wanted || q.Unprotected && protected {
			continue
		}
		out := diskOf(d, e.vcenters[d.Ref.Source()].Name())
		if protected {
			out.LastPoint, out.LastPointTime = &point, point.Time()
		}
		disks = append(disks, out)
	}
	return disks, nil
}

func diskOf(d inventory.Disk, vcenter string) api.Disk {
	out := api.Disk{
		ID: d.Ref.ID(), Name: d.Name, Datastore: d.DatastoreName, DatastoreID: d.Ref.Datastore(), VCenter: vcenter,
		Capacity: d.Capacity, CBT: d.CBT, Thin: d.Thin, Encrypted: d.Encrypted, Created: d.Created, Metadata: d.Metadata,
	}
	for _, vm := range d.AttachedTo {
		out.AttachedTo = append(out.AttachedTo, cmp.Or(vm.Name, vm.ID))
	}
	slices.Sort(out.AttachedTo)
	return out
}

// list asks all vCenters at once and puts their disks in order.
func (e *estate) list(ctx context.Context) ([]inventory.Disk, error) {
	var mu sync.Mutex
	var all []inventory.Disk // guarded by mu
	group, gctx := errgroup.WithContext(ctx)
	for _, v := range e.vcenters {
		group.Go(func() error {
			for d, err := range v.Disks(gctx) {
				if err != nil {
					return err
				}
				mu.Lock()
				all = append(all, d)
				mu.Unlock()
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b inventory.Disk) int {
		return cmp.Or(cmp.Compare(a.Ref.Source(), b.Ref.Source()), cmp.Compare(a.DatastoreName, b.DatastoreName),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Ref.ID(), b.Ref.ID()))
	})
	return all, nil
}

// Snapshots lists those that runs of ours made, the oldest first.
func (e *estate) Snapshots(ctx context.Context) ([]api.Snapshot, error) {
	disks, err := e.list(ctx)
	if err != nil {
		return nil, err
	}
	found := make([][]api.Snapshot, len(disks))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(askAtOnce)
	for i, d := range disks {
		group.Go(func() (err error) {
			found[i], err = e.snapshotsOf(gctx, d)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	snapshots := slices.Concat(found...)
	slices.SortStableFunc(snapshots, func(a, b api.Snapshot) int { return a.Created.Compare(b.Created) })
	return snapshots, nil
}

func (e *estate) snapshotsOf(ctx context.Context, d inventory.Disk) ([]api.Snapshot, error) {
	v := e.vcenters[d.Ref.Source()]
	list, err := v.Snapshots(ctx, d.Ref)
	if ivd.KindOf(err) == ivd.NotFound {
		return nil, nil // the disk went meanwhile
	}
	if err != nil {
		return nil, err
	}
	var ours []api.Snapshot
	for _, s := range list {
		if !backup.Ours(s.Description) && !examine.Ours(s.Description) {
			continue
		}
		ours = append(ours, api.Snapshot{
			ID: s.ID, Disk: d.Ref.ID(), Name: d.Name, VCenter: v.Name(), Datastore: d.DatastoreName,
			Description: s.Description, Created: s.Created, AgeSeconds: max(0, int64(e.now().Sub(s.Created).Seconds())),
		})
	}
	return ours, nil
}
