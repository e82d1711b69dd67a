package backup

import (
	"context"
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
// goes whose mark names this repository, in which no lease of its run, or examination,
// stands, unless the run is known to be under way. Every other one stays: it goes when a person says so.
func (w *Workflow) Sweep(ctx context.Context, r engine.Records) error {
	s := sweep{w: w, records: r, looked: map[ivd.DiskRef]bool{}, withheld: map[ivd.SourceID]bool{}}
	for _, v := range w.Sources.All() {
		whole, err := r.Due(ctx, "snapshots of "+string(v.Source()), wholeEvery)
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
		s.tell(v, err)
	}
	for _, store := range stores {
		ids, err := v.IDs(ctx, store)
		if err != nil {
			s.tell(v, err, "datastore", store.Name)
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
		if it.Decode(&d) != nil {
			continue // it has failed for that; the sweep of all disks finds what it has left
		}
		if v, err := s.w.Sources.Of(d.Ref.Source()); err == nil {
			s.look(ctx, v, d.Ref)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// look looks at a disk once, whatever the number of its runs.
func (s *sweep) look(ctx context.Context, v *inventory.VCenter, ref ivd.DiskRef) {
	if s.looked[ref] {
		return
	}
	s.looked[ref] = true
	if err := s.disk(ctx, v, ref); err != nil && ctx.Err() == nil {
		s.tell(v, err, "disk", ref.ID())
	}
}

// tell has the log say what failed. That a vCenter's login is withheld is one fact for all
// of its disks.
func (s *sweep) tell(v *inventory.VCenter, err error, args ...any) {
	if ivd.KindOf(err) == ivd.Withheld {
		if s.withheld[v.Source()] {
			return
		}
		s.withheld[v.Source()] = true
	}
	s.w.Log.Warn("looking for snapshots that came late failed", append([]any{"vcenter", v.Name(), "err", err}, args...)...)
}

type sweep struct {
	w        *Workflow
	records  engine.Records
	looked   map[ivd.DiskRef]bool
	withheld map[ivd.SourceID]bool // that the login is, has been told
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
		m, ok := ReadMark(snap.Description)
		if !ok || !s.w.Ours(m) {
			continue // another's
		}
		of, err := s.w.standing(ctx, s.records, m.Run, ref)
		if err != nil {
			return err
		}
		if !of.abandoned() {
			continue
		}
		s.w.Log.Warn("a snapshot was left by a run that is over, and is deleted", "run", m.Run, "disk", ref.ID(), "snapshot", snap.ID)
		if err := v.DeleteSnapshot(ctx, ref, snap.ID); err != nil {
			return err
		}
	}
	return nil
}
