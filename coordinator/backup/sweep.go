package backup

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
)

// Sweep deletes snapshots that runs of ours have made and that nobody will delete:
// one whose creation came to its end only after its run had been cleaned up, for
// whatever reason. A snapshot of a run that is not known here may be another
// installation's and stays.
func (w *Workflow) Sweep(ctx context.Context, r engine.Records) error {
	s := sweep{w: w, records: r, over: map[ivd.RunID]bool{}}
	for _, v := range w.Sources {
		for d, err := range v.Disks(ctx) {
			if err == nil {
				err = s.disk(ctx, v, d.Ref)
			}
			if err != nil {
				w.Log.Warn("looking for snapshots that came late failed", "disk", d.Ref.ID(), "err", err)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
	return nil
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
