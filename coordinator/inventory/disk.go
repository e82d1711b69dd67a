package inventory

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"golang.org/x/sync/errgroup"

	"ivdmover/coordinator/news"
	"ivdmover/shared/ivd"
)

// Disk is an IVD as vSphere tells of it.
type Disk struct {
	Ref           ivd.DiskRef
	Name          string
	DatastoreName string
	Capacity      int64      // bytes, whole MiB: vSphere rounds, VDDK knows it to the sector
	AttachedTo    []VM       // empty: detached, or Unsure
	Host          ivd.HostID // of the machines that it is attached to; empty: of none, of several, or not told
	Unsure        error      // why vSphere did not tell whom it is attached to: AttachedTo may lack some, or their names
	CBT           bool       // changes are tracked
	Encrypted     bool       // with a key that vSphere holds
	Thin          bool       // blocks are allocated when they are written first
	Provisioning  string     // as vSphere names it: "thin", "lazyZeroedThick", "eagerZeroedThick"
	KeyProvider   string     // of the key with which it is encrypted
	KeyID         string
	Created       time.Time
	Path          string            // "[datastore] fcd/….vmdk"
	Metadata      map[string]string // as a container's storage has it: cluster, namespace, claim
	Unfinished    ivd.RunID         // the restore that makes it; empty: it is one of the estate

	backing string            // its file's UUID, as far as the datastore tells
	marks   map[string]string // what this program keeps with it
}

// VM is a virtual machine that a disk is attached to.
type VM struct {
	ID   string // managed object id, or what vSphere calls it by where that is not known
	Name string
}

// retrieveAtOnce bounds the questions that are under way at once; batch is how
// many disks are told at once, since whom they are attached to is asked together.
const (
	retrieveAtOnce = 8
	batch          = 64
)

// Disks yields the disks of every datastore, attached or not. A disk that vanishes
// meanwhile is left out. What cannot be listed yields its error, with as much of its
// Ref and its datastore's name as is known: a disk, or all disks of a datastore, or
// of the vCenter. The next one follows unless the caller stops.
func (v *VCenter) Disks(ctx context.Context) iter.Seq2[Disk, error] {
	return func(yield func(Disk, error) bool) {
		stores, err := v.Datastores(ctx)
		if err != nil {
			yield(v.unlisted(Datastore{}, ""), err)
			return
		}
		for _, d := range stores {
			if !v.disksOf(ctx, d, yield) {
				return
			}
		}
	}
}

// DisksOn yields the disks of one datastore, as Disks does.
func (v *VCenter) DisksOn(ctx context.Context, id ivd.DatastoreID) iter.Seq2[Disk, error] {
	return func(yield func(Disk, error) bool) {
		d, err := v.Datastore(ctx, string(id))
		if err != nil {
			yield(v.unlisted(Datastore{ID: id}, ""), err)
			return
		}
		v.disksOf(ctx, d, yield)
	}
}

// DisksOf yields the disks of a datastore that was listed before, as Disks does.
func (v *VCenter) DisksOf(ctx context.Context, d Datastore) iter.Seq2[Disk, error] {
	return func(yield func(Disk, error) bool) { v.disksOf(ctx, d, yield) }
}

// unlisted stands for a disk, or with no id for all disks of a datastore.
func (v *VCenter) unlisted(d Datastore, id string) Disk {
	return Disk{Ref: ivd.NewDiskRef(v.source, d.ID, ivd.DiskID(id)), DatastoreName: d.Name}
}

// disksOf yields the disks of one datastore and reports whether to go on.
func (v *VCenter) disksOf(ctx context.Context, d Datastore, yield func(Disk, error) bool) bool {
	op := fmt.Sprintf("list the disks of datastore %s", d.Name)
	all, err := v.idsOn(ctx, d)
	if err != nil {
		return yield(v.unlisted(d, ""), fmt.Errorf("%s: %w", op, err)) && ctx.Err() == nil
	}
	return v.yieldDisks(ctx, d, op, all, yield)
}

// yieldDisks yields disks of one datastore and reports whether to go on.
func (v *VCenter) yieldDisks(ctx context.Context, d Datastore, op string, all []types.ID, yield func(Disk, error) bool) bool {
	var missing []types.ID
	asked := 0
	for ids := range slices.Chunk(all, batch) {
		news.Tell(ctx, "%s of vCenter %s: asked about %d of %d disks", op, v.Name(), asked, len(all))
		asked += len(ids)
		disks, sick, gone := v.retrieve(ctx, d, ids)
		missing = append(missing, gone...)
		if ctx.Err() != nil {
			yield(v.unlisted(d, ""), fail(ctx, op, context.Cause(ctx)))
			return false
		}
		if len(sick) == batch { // it is not the disks
			return yield(v.unlisted(d, ""), fmt.Errorf("%s: %w", op, sick[0].err))
		}
		for _, s := range sick {
			if !yield(v.unlisted(d, s.id), s.err) {
				return false
			}
		}
		for _, disk := range disks {
			if !yield(disk, nil) {
				return false
			}
		}
	}
	return v.stillListed(ctx, d, missing, yield)
}

// stillListed yields those disks that a datastore lists and does not find: one that
// was deleted meanwhile is listed no more, one whose files are gone is.
func (v *VCenter) stillListed(ctx context.Context, d Datastore, missing []types.ID, yield func(Disk, error) bool) bool {
	if len(missing) == 0 {
		return true
	}
	listed, err := v.idsOn(ctx, d)
	if err != nil {
		return yield(v.unlisted(d, ""), fmt.Errorf("list the disks of datastore %s: %w", d.Name, err)) && ctx.Err() == nil
	}
	for _, id := range missing {
		if !slices.Contains(listed, id) {
			continue
		}
		lost := &ivd.Error{
			Kind: ivd.NotFound, Err: fmt.Errorf("datastore %s lists disk %s and does not find it", d.Name, id.Id),
			Remedy: "look for its files; where they are gone, have vSphere reconcile the datastore's inventory (govc disk.ls -R)",
		}
		if !yield(v.unlisted(d, id.Id), lost) {
			return false
		}
	}
	return true
}

// idsOn asks which disks are on a datastore.
func (v *VCenter) idsOn(ctx context.Context, d Datastore) (ids []types.ID, err error) {
	if err := v.usable(d); err != nil {
		return nil, err
	}
	err = v.readAgain.Do(ctx, func(ctx context.Context) error {
		ids, err = v.listObjects(ctx, d.ID)
		return fail(ctx, "vCenter "+v.cfg.Name, err)
	})
	return ids, err
}

// sickDisk is one that vSphere does not tell of, and why.
type sickDisk struct {
	id  string
	err error
}

// retrieve asks about each disk, of some more than once; gone are those that are not
// found. One that is sick costs no other.
func (v *VCenter) retrieve(ctx context.Context, d Datastore, ids []types.ID) (disks []Disk, sick []sickDisk, gone []types.ID) {
	found, errs := make([]Disk, len(ids)), make([]error, len(ids))
	open := make([]int, len(ids)) // those to ask about
	for i := range ids {
		open[i] = i
	}
	_ = v.readAgain.Do(ctx, func(ctx context.Context) error { // the disks' own errors say it all
		var group errgroup.Group
		group.SetLimit(retrieveAtOnce)
		for _, i := range open {
			group.Go(func() error {
				found[i], errs[i] = v.retrieveOne(ctx, d, ids[i])
				return nil
			})
		}
		_ = group.Wait() // none returns an error
		open = slices.DeleteFunc(open, func(i int) bool { return errs[i] == nil || !ivd.KindOf(errs[i]).Retry() })
		if len(open) > 0 {
			return errs[open[0]]
		}
		return nil
	})
	for i, err := range errs {
		switch {
		case err == nil:
			disks = append(disks, found[i])
		case ivd.KindOf(err) == ivd.NotFound:
			gone = append(gone, ids[i])
		default:
			sick = append(sick, sickDisk{ids[i].Id, err})
		}
	}
	v.attach(ctx, disks)
	return disks, sick, gone
}

// retrieveNow is retrieve for a disk of which it is not known whether it is there.
func (v *VCenter) retrieveNow(ctx context.Context, d Datastore, id ivd.DiskID) (disk Disk, found bool, err error) {
	disks, sick, _ := v.retrieve(ctx, d, []types.ID{{Id: string(id)}})
	switch {
	case len(sick) > 0:
		return Disk{}, false, sick[0].err
	case len(disks) == 0:
		return Disk{}, false, nil
	}
	return disks[0], true, nil
}

// retrieveOne asks about one disk; whom it is attached to is asked later. Until
// then AttachedTo names its consumers.
func (v *VCenter) retrieveOne(ctx context.Context, d Datastore, id types.ID) (Disk, error) {
	op := fmt.Sprintf("retrieve disk %s on %s", id.Id, d.Name)
	object, err := v.retrieveObject(ctx, d.ID, id)
	if err != nil {
		return Disk{}, diskError(ctx, op, err)
	}
	disk, err := ivd.ParseDiskID(id.Id)
	if err != nil {
		return Disk{}, fmt.Errorf("%s: %w", op, err)
	}
	c := object.Config
	out := Disk{
		Ref:  ivd.NewDiskRef(v.source, d.ID, disk),
		Name: c.Name, DatastoreName: d.Name, Capacity: c.CapacityInMB << 20, Created: c.CreateTime,
		CBT: c.ChangedBlockTrackingEnabled != nil && *c.ChangedBlockTrackingEnabled,
	}
	if b, ok := c.Backing.(types.BaseBaseConfigInfoFileBackingInfo); ok {
		file := b.GetBaseConfigInfoFileBackingInfo()
		out.Path, out.backing = file.FilePath, file.BackingObjectId
		if key := file.KeyId; key != nil {
			out.Encrypted, out.KeyID = true, key.KeyId
			if key.ProviderId != nil {
				out.KeyProvider = key.ProviderId.Id
			}
		}
	}
	if b, ok := c.Backing.(*types.BaseConfigInfoDiskFileBackingInfo); ok {
		out.Provisioning = b.ProvisioningType
		out.Thin = b.ProvisioningType == string(types.BaseConfigInfoDiskFileBackingInfoProvisioningTypeThin)
	}
	for _, kv := range c.Metadata {
		out.keep(kv)
	}
	out.Unfinished = v.unfinishedBy(out)
	for _, consumer := range c.ConsumerId {
		out.AttachedTo = append(out.AttachedTo, VM{ID: consumer.Id})
	}
	return out, nil
}

// diskError is fail for calls whose only argument is the disk: vSphere calls an
// unknown one NotFound or InvalidArgument, by version.
func diskError(ctx context.Context, op string, err error) error {
	return failIn(ctx, op, err, map[string]meaning{"InvalidArgument": {ivd.NotFound, ""}})
}

// Disk asks about one disk where it was last seen.
func (v *VCenter) Disk(ctx context.Context, ref ivd.DiskRef) (Disk, error) {
	op := fmt.Sprintf("retrieve disk %s on %s", ref.ID(), ref.Datastore())
	var store mo.Datastore
	err := property.DefaultCollector(v.client()).RetrieveOne(ctx, datastoreRef(ref.Datastore()), []string{"summary.name"}, &store)
	if err != nil {
		return Disk{}, fail(ctx, op, err)
	}
	d := Datastore{ID: ref.Datastore(), Name: store.Summary.Name}
	disk, found, err := v.retrieveNow(ctx, d, ref.ID())
	if err == nil && !found {
		err = ivd.Errorf(ivd.NotFound, "disk %s is not on datastore %s", ref.ID(), d.Name)
	}
	return disk, err
}

// Find looks for a disk on every accessible datastore: its id stays when it is
// relocated. It says NotFound only where every one of them has answered.
func (v *VCenter) Find(ctx context.Context, id ivd.DiskID) (Disk, error) {
	stores, err := v.Datastores(ctx)
	if err != nil {
		return Disk{}, err
	}
	var unknown []error
	for _, d := range stores {
		if err := v.usable(d); err != nil {
			unknown = append(unknown, err)
			continue
		}
		disk, found, err := v.retrieveNow(ctx, d, id)
		switch {
		case err != nil:
			unknown = append(unknown, err)
		case found:
			return disk, nil
		}
	}
	if err := errors.Join(unknown...); err != nil {
		return Disk{}, fmt.Errorf("find disk %s in vCenter %s: %w", id, v.cfg.Name, err)
	}
	return Disk{}, &ivd.Error{Kind: ivd.NotFound, Op: "vCenter " + v.cfg.Name, Err: fmt.Errorf("no disk %s on any datastore", id), Remedy: "give an id as `ivd disks` lists it"}
}
