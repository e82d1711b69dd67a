package run

import (
	"context"
	"fmt"
	"strings"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
)

// sweep deletes snapshots that runs of ours have made and that nobody will delete:
// one whose creation came to its end only after its run had been cleaned up, for
// whatever reason. A snapshot of a run that is not known here may be another
// installation's and stays.
func (s *Service) sweep(ctx context.Context) error {
	over := map[ivd.RunID]bool{}
	for _, v := range s.VCenters {
		for d, err := range v.Disks(ctx) {
			if err == nil {
				err = s.sweepDisk(ctx, v, d.Ref, over)
			}
			if err != nil {
				s.Log.Warn("look for snapshots that came late", "disk", d.Ref.ID(), "err", err)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

func (s *Service) sweepDisk(ctx context.Context, v *inventory.VCenter, ref ivd.DiskRef, over map[ivd.RunID]bool) error {
	snaps, err := v.Snapshots(ctx, ref)
	if ivd.KindOf(err) == ivd.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	for _, snap := range snaps {
		name, ofRun := strings.CutPrefix(snap.Description, markPrefix)
		if !ofRun {
			continue // another's, or an examination's, which the ledger has to its end
		}
		id := ivd.RunID(name)
		if _, asked := over[id]; !asked {
			if over[id], err = s.over(ctx, id); err != nil {
				return err
			}
		}
		if !over[id] && !s.diskOver(ctx, id, ref.ID()) {
			continue
		}
		s.Log.Warn("a snapshot was left by a run that is over, and is deleted", "run", id, "disk", ref.ID(), "snapshot", snap.ID)
		if err := v.DeleteSnapshot(ctx, ref, snap.ID); err != nil {
			return err
		}
	}
	return nil
}

// over tells whether a run of ours is over, by its record or, where that was
// forgotten, by its summary.
func (s *Service) over(ctx context.Context, id ivd.RunID) (bool, error) {
	r, _, err := s.getRun(ctx, id)
	if err == nil {
		return r.State.Ended(), nil
	}
	if ivd.KindOf(err) != ivd.NotFound {
		return false, err
	}
	var v View
	err = s.Repo.ReadSummary(ctx, id, &v)
	if ivd.KindOf(err) == ivd.NotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("is run %s over: %w", id, err)
	}
	return v.State.Ended(), nil
}

// diskOver tells whether a disk has ended in a run that goes on.
func (s *Service) diskOver(ctx context.Context, id ivd.RunID, disk ivd.DiskID) bool {
	d, _, err := s.getDisk(ctx, id, disk)
	return err == nil && d.Step == Ended
}
