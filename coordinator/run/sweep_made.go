package run

import (
	"context"
	"fmt"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// place is where restores make their disks.
type place struct {
	source    ivd.SourceID
	datastore ivd.DatastoreID
}

// sweepMade deletes disks under the working names of restores that have ended: one
// whose creation vSphere brought to its end only after the ledger had given it up.
// What a restore has made and named is the user's, whatever it is called by now.
func (s *Service) sweepMade(ctx context.Context) error {
	over, err := s.restored(ctx)
	if err != nil {
		return err
	}
	for at, names := range over {
		if err := s.sweepPlace(ctx, at, names); err != nil {
			s.Log.Warn("look for disks that came late", "source", at.source, "datastore", at.datastore, "err", err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// restored is the disks of restores that have ended, by where they were made and
// their working names.
func (s *Service) restored(ctx context.Context) (map[place]map[string]Disk, error) {
	runs, err := s.listRuns(ctx)
	if err != nil {
		return nil, err
	}
	over := map[place]map[string]Disk{}
	for id, r := range runs {
		if r.Kind != job.Restore {
			continue
		}
		disks, err := s.listDisks(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, d := range disks {
			if d.Step != Ended {
				continue
			}
			at := place{d.Ref.Source(), d.Ref.Datastore()}
			if over[at] == nil {
				over[at] = map[string]Disk{}
			}
			over[at][working(id, d.Key())] = d.Disk
		}
	}
	return over, nil
}

func (s *Service) sweepPlace(ctx context.Context, at place, names map[string]Disk) error {
	v, err := s.vcenter(at.source)
	if err != nil {
		return err
	}
	for d, err := range v.DisksOn(ctx, at.datastore) {
		if err != nil {
			return err
		}
		rec, ours := names[d.Name]
		if !ours || rec.Result == Done && rec.Ref.ID() == d.Ref.ID() {
			continue
		}
		s.Log.Warn("a disk was left by a restore that is over, and is deleted", "run", rec.Run, "disk", d.Ref.ID(), "name", d.Name)
		if err := v.DeleteDisk(ctx, d.Ref); err != nil {
			return fmt.Errorf("what a restore has left: %w", err)
		}
	}
	return nil
}
