package inventory

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// fewDisks are asked for one by one wherever they may be. Of more it is asked first
// which of them are there.
const fewDisks = 16

// Some yields those of some disks that are on a datastore which was listed before, as
// DisksOf does. What it asks grows with them, not with the disks of the datastore.
func (v *VCenter) Some(ctx context.Context, d Datastore, ids []ivd.DiskID) iter.Seq2[Disk, error] {
	return func(yield func(Disk, error) bool) {
		op := fmt.Sprintf("look for disks on datastore %s", d.Name)
		err := v.usable(d)
		if err == nil && len(ids) > fewDisks {
			ids, err = v.among(ctx, d, ids)
		}
		if err != nil {
			yield(v.unlisted(d, ""), fmt.Errorf("%s: %w", op, err))
			return
		}
		asked := make([]types.ID, len(ids))
		for i, id := range ids {
			asked[i] = types.ID{Id: string(id)}
		}
		v.yieldDisks(ctx, d, op, asked, yield)
	}
}

// among are those of the ids that are on a datastore.
func (v *VCenter) among(ctx context.Context, d Datastore, ids []ivd.DiskID) ([]ivd.DiskID, error) {
	there, err := v.IDs(ctx, d)
	if err != nil {
		return nil, err
	}
	known := make(map[ivd.DiskID]bool, len(there))
	for _, id := range there {
		known[id] = true
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id ivd.DiskID) bool { return !known[id] }), nil
}

// IDs lists the disks of a datastore that was listed before, by nothing but their ids:
// one call, whatever their number.
func (v *VCenter) IDs(ctx context.Context, d Datastore) ([]ivd.DiskID, error) {
	all, err := v.idsOn(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("list the disks of datastore %s: %w", d.Name, err)
	}
	ids := make([]ivd.DiskID, 0, len(all))
	for _, id := range all {
		if disk, err := ivd.ParseDiskID(id.Id); err == nil { // else it is no name that a disk has
			ids = append(ids, disk)
		}
	}
	return ids, nil
}
