package restore

import (
	"context"
	"fmt"

	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/harm"
	"ivdmover/coordinator/inventory"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Request asks for a point to be restored to a new disk.
type Request struct {
	Point     ivd.PointID
	VCenter   string // by its name in the configuration; empty: where the disk was
	Datastore string // by name or id; empty: where the disk was
	Name      string // empty: the disk's name with the point's time
	NoLease   bool   // read where no lease can be stored: holds only as long as nobody collects
}

// Run checks a request's point and target and makes the run that restores it.
func (w *Workflow) Run(ctx context.Context, q Request) (s engine.Spec, err error) {
	err = engine.Soon(ctx, func(ctx context.Context) error {
		s, err = w.spec(ctx, q)
		return err
	})
	return s, err
}

func (w *Workflow) spec(ctx context.Context, q Request) (engine.Spec, error) {
	if err := w.Repo.OpensChunks(); err != nil {
		return engine.Spec{}, err
	}
	p, _, err := w.Repo.ReadPoint(ctx, q.Point)
	if ivd.KindOf(err) == ivd.NotFound {
		err = &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no restore point %s", q.Point), Remedy: "`ivd points` lists them"}
	}
	if err != nil {
		return engine.Spec{}, err
	}
	if p.Partial != nil {
		return engine.Spec{}, &ivd.Error{Kind: ivd.Unmet, Err: fmt.Errorf("restore point %s is partial: only spans before %d of its disk are done", p.ID, p.Partial.Next), Remedy: "choose another one of `ivd points`"}
	}
	if err := harm.Lost(ctx, w.Repo, p.ID, nil, 0); err != nil {
		return engine.Spec{}, err
	}
	name := q.Name
	if name == "" {
		name = nameAfter(p.Disk.Name, p.ID.Time())
	}
	if err := checkName(name); err != nil {
		return engine.Spec{}, err
	}
	v, ds, err := w.target(ctx, q, p.Ref())
	if err != nil {
		return engine.Spec{}, err
	}
	if err := w.free(ctx, v, ivd.NewDiskRef(v.Source(), ds.ID, ""), name, namesAsked); err != nil {
		return engine.Spec{}, err
	}
	d := Disk{
		Ref: ivd.NewDiskRef(v.Source(), ds.ID, ""), Name: p.Disk.Name, Datastore: ds.Name, Geometry: p.Geometry,
		From: p.ID, Target: name,
	}
	lease := format.ReadLease
	if q.NoLease {
		lease = engine.NoLease
	}
	return engine.Spec{
		Kind: Kind, Lease: lease, Urgent: true,
		Items: []engine.ItemSpec{{Key: engine.ItemKey(p.ID.Disk()), Body: d}},
	}, nil
}

// target is the vCenter and the datastore to restore to.
func (w *Workflow) target(ctx context.Context, q Request, was ivd.DiskRef) (*inventory.VCenter, inventory.Datastore, error) {
	v, err := w.Sources.Of(was.Source())
	if q.VCenter != "" {
		v, err = w.Sources.Named(q.VCenter)
	}
	if err != nil {
		return nil, inventory.Datastore{}, err
	}
	want := q.Datastore
	if want == "" {
		want = string(was.Datastore())
	}
	ds, err := v.Datastore(ctx, want)
	return v, ds, err
}
