package backup

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
)

// How often whole sources are swept, by one of the coordinators that share a queue; and
// for how long each of them looks, at every sweep, at the disks of its own that have
// ended: longer than what was asked for is under way, and than the time between two.
const (
	wholeEvery = 24 * time.Hour
	lateAfter  = 3 * time.Hour
)

// Sweep deletes snapshots that runs of ours have made and that nobody will delete:
// one whose creation came to its end only after its run had been cleaned up, for
// whatever reason. It looks where one may be: at the disks that have ended lately, with
// one call each; and at all disks once in a day, since records may be lost. A snapshot
// of a run that is not known here may be another installation's and stays.
func (w *Workflow) Sweep(ctx context.Context, r engine.Records) error {
	s := sweep{w: w, records: r, over: map[ivd.RunID]bool{}}
	for source, v := range w.Sources {
		whole, err := r.Due(ctx, "snapshots of "+string(source), wholeEvery)
		if err != nil {
			return err
		}
		if whole {
			s.source(ctx, v)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return s.recent(ctx)
}

// source looks at all disks of a vCenter, which are listed by their ids alone.
func (s *sweep) source(ctx context.Context, v *inventory.VCenter) {
	stores, err := v.Datastores(ctx)
	if err != nil {
		s.w.Log.Warn("looking for snapshots that came late failed", "vcenter", v.Name(), "err", err)
	}
	for _, store := range stores {
		ids, err := v.IDs(ctx, store)
		if err != nil {
			s.w.Log.Warn("looking for snapshots that came late failed", "vcenter", v.Name(), "datastore", store.Name, "err", err)
		}
		for _, id := range ids {
			s.look(ctx, v, ivd.NewDiskRef(v.Source(), store.ID, id))
			if ctx.Err() != nil {
				return
			}
		}
	}
}

// recent looks at the disks of this coordinator's runs that have ended lately.
func (s *sweep) recent(ctx context.Context) error {
	items, err := s.records.Ended(ctx, Kind, lateAfter)
	if err != nil {
		return err
	}
	for _, it := range items {
		var d Disk
		if err := it.Decode(&d); err != nil {
			return err
		}
		if v := s.w.Sources[d.Ref.Source()]; v != nil {
			s.look(ctx, v, d.Ref)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

func (s *sweep) look(ctx context.Context, v *inventory.VCenter, ref ivd.DiskRef) {
	if err := s.disk(ctx, v, ref); err != nil && ctx.Err() == nil {
		s.w.Log.Warn("looking for snapshots that came late failed", "disk", ref.ID(), "err", err)
	}
}

type sweep struct {
	w       *Workflow
	records engine.Records
	over    map[ivd.RunID]bool // of the runs that were asked about
}

func (s *sweep) disk(ctx context.Context, v *inventory.VCenter, ref ivd.DiskRef) error {
	snaps, err := v.Snapshots(ctx, ref)
	if ivd.KindOf(err) == ivd.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	for _, snap := range snaps {
		name, ours := strings.CutPrefix(snap.Description, markPrefix)
		if !ours {
			continue // another's, or an examination's, which the ledger has to its end
		}
		run := ivd.RunID(name)
		over, err := s.isOver(ctx, run)
		if err != nil {
			return err
		}
		if !over && !slices.ContainsFunc(s.w.Keys(ref), func(k engine.ItemKey) bool { return s.records.ItemOver(ctx, run, k) }) {
			continue
		}
		s.w.Log.Warn("a snapshot was left by a run that is over, and is deleted", "run", run, "disk", ref.ID(), "snapshot", snap.ID)
		if err := v.DeleteSnapshot(ctx, ref, snap.ID); err != nil {
			return err
		}
	}
	return nil
}

// isOver reports whether a run of ours is over, by its record or, where that was
// forgotten, by the repository's.
func (s *sweep) isOver(ctx context.Context, run ivd.RunID) (over bool, err error) {
	if over, asked := s.over[run]; asked {
		return over, nil
	}
	over, err = s.records.RunOver(ctx, run)
	if ivd.KindOf(err) == ivd.NotFound {
		_, err = s.w.Repo.ReadRun(ctx, run)
		over = err == nil
		if ivd.KindOf(err) == ivd.NotFound {
			err = nil
		}
	}
	if err != nil {
		return false, fmt.Errorf("is run %s over: %w", run, err)
	}
	s.over[run] = over
	return over, nil
}
