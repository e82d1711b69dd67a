package serve

import (
	"context"
	"errors"
	"fmt"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/examine"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/news"
	"ivdmover/shared/ivd"
)

// found is a snapshot of ours in vSphere.
type found struct {
	v  *inventory.VCenter
	of ivd.DiskRef
	s  inventory.Snapshot
}

// DeleteSnapshot deletes one that carries a mark of this program's, whoever's, unless it
// is worked with. VCenter is the name of the only one to look in; empty: in all.
func (e *estate) DeleteSnapshot(ctx context.Context, id ivd.SnapshotID, vcenter string) error {
	all, err := e.findSnapshot(ctx, id, vcenter)
	if err != nil {
		return err
	}
	x := all[0]
	if len(all) > 1 {
		return &ivd.Error{
			Kind: ivd.Unmet, Err: fmt.Errorf("snapshot %s is in the vCenters %s and %s: an array has copied its disk", id, x.v.Name(), all[1].v.Name()),
			Remedy: "say which one with --vcenter",
		}
	}
	if examine.Ours(x.s.Description) {
		err = e.house.doctors.MayDelete(ctx, x.of, x.s.Description)
	}
	if _, marked := backup.ReadMark(x.s.Description); err == nil && (marked || !examine.Ours(x.s.Description)) {
		err = e.house.backup.MayDelete(ctx, e.house.engine, x.of, x.s.Description)
	}
	if err != nil {
		return err
	}
	err = x.v.DeleteSnapshot(ctx, x.of, id)
	if ivd.KindOf(err) == ivd.Transient && ivd.RemedyOf(err) == "" {
		err = &ivd.Error{Kind: ivd.Transient, Err: err, Remedy: "`ivd snapshots` lists it as long as it is there; then delete it again"}
	}
	return err
}

// findSnapshot looks for a snapshot by its id. What could not be asked is said where it is
// not found.
func (e *estate) findSnapshot(ctx context.Context, id ivd.SnapshotID, vcenter string) (all []found, err error) {
	disks, err := e.list(ctx, "")
	if err != nil {
		return nil, err
	}
	var unknown []error
	for i, d := range disks {
		news.Tell(ctx, "looked for the snapshot on %d of %d disks", i, len(disks))
		if vcenter != "" && d.vcenter != vcenter {
			continue
		}
		var s inventory.Snapshot
		v, err := e.at(d)
		if err == nil {
			s, err = v.Snapshot(ctx, d.Ref, id)
		}
		switch {
		case err == nil:
			all = append(all, found{v, d.Ref, s})
		case ivd.KindOf(err) != ivd.NotFound:
			unknown = append(unknown, err)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	switch {
	case len(all) > 0:
		return all, nil
	case len(unknown) > 0:
		return nil, fmt.Errorf("look for snapshot %s: %w", id, errors.Join(unknown...))
	}
	return nil, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no disk has a snapshot %s", id), Remedy: "`ivd snapshots` lists them"}
}

// whose says of whom a snapshot is.
func (e *estate) whose(s *api.Snapshot) {
	if m, ok := backup.ReadMark(s.Description); ok {
		s.Run, s.Ours = m.Run, e.house.backup.Ours(m)
	}
}
