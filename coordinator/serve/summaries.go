package serve

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/restore"
	"ivdmover/coordinator/verify"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// shownRuns is how many runs are listed; the queue keeps as many that are over.
const shownRuns = 300

// summaries are the runs of which the queue has no record, as the repository has them:
// those that are forgotten, and all after the queue's files were lost. What was read
// once is kept: a summary does not change.
type summaries struct {
	repo *repo.Repository
	log  *slog.Logger

	mu   sync.Mutex
	read map[ivd.RunID]format.Run // guarded by mu
}

func newSummaries(r *repo.Repository, log *slog.Logger) *summaries {
	return &summaries{repo: r, log: log, read: map[ivd.RunID]format.Run{}}
}

// run reads one. Kind NotFound: there is none.
func (s *summaries) run(ctx context.Context, id ivd.RunID) (format.Run, error) {
	s.mu.Lock()
	r, known := s.read[id]
	s.mu.Unlock()
	if known {
		return r, nil
	}
	r, err := s.repo.ReadRun(ctx, id)
	if err != nil {
		return r, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.read) >= 2*shownRuns {
		clear(s.read)
	}
	s.read[id] = r
	return r, nil
}

// fill adds to a list of runs the newest others that the repository knows; what it does
// not answer does not keep the rest from being shown.
func (s *summaries) fill(ctx context.Context, list []api.Run) []api.Run {
	known := map[ivd.RunID]bool{}
	for _, r := range list {
		known[r.ID] = true
	}
	others, err := s.others(ctx, known, shownRuns-len(list))
	for _, id := range others {
		r, readErr := s.run(ctx, id)
		if readErr == nil {
			list = append(list, runOfSummary(r))
		} else if ivd.KindOf(readErr) != ivd.NotFound {
			err = readErr
		}
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("reading runs from the repository failed: those that the queue has forgotten are not all shown", "err", err)
	}
	slices.SortStableFunc(list, func(a, b api.Run) int { return b.Created.Compare(a.Created) }) // what is unread comes last
	return list
}

// others are the ids of the newest runs that are not known, at most so many.
func (s *summaries) others(ctx context.Context, known map[ivd.RunID]bool, most int) (ids []ivd.RunID, err error) {
	if most <= 0 {
		return nil, nil
	}
	for id, err := range s.repo.Runs(ctx) {
		if err != nil {
			return nil, err
		}
		if !known[id] {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b ivd.RunID) int { return strings.Compare(string(b), string(a)) }) // ids begin with the time
	return ids[:min(len(ids), most)], nil
}

func runOfSummary(r format.Run) api.Run {
	out := api.Run{
		ID: r.ID, Kind: job.Kind(r.Kind), Policy: r.Policy, State: api.State(r.State), Created: r.Started, Ended: r.Ended, Owner: r.Coordinator,
		Counts: api.Counts{Disks: len(r.Points) + len(r.Restored) + len(r.Verified) + len(r.Failed), Done: len(r.Points) + len(r.Restored) + len(r.Verified)},
	}
	if r.LeftOut != "" {
		out.Failure = &ivd.Failure{Message: r.LeftOut}
	}
	for _, p := range r.Points {
		out.Stats.Add(p.Stats)
	}
	for _, x := range r.Restored {
		out.Stats.Add(x.Stats)
	}
	for _, x := range r.Verified {
		out.Stats.Add(x.Stats)
	}
	for _, f := range r.Failed {
		if f.State == string(api.Cancelled) {
			out.Counts.Cancelled++
		} else {
			out.Counts.Failed++
		}
	}
	return out
}

// disksOfSummary come in the order of their keys.
func disksOfSummary(r format.Run, label catalogue.Label) []api.RunDisk {
	var disks []api.RunDisk
	var names []catalogue.Disk
	for _, p := range r.Points {
		names = append(names, catalogue.Disk{Source: p.Point.Source(), ID: p.Point.Disk()})
		disks = append(disks, api.RunDisk{
			ID: p.Point.Disk(), Name: p.Name, VCenter: label(p.Point.Source()), Step: api.Ended, Result: api.Done,
			Capacity: p.Geometry.Capacity, ChunkSize: p.Geometry.ChunkSize, Mode: string(p.Mode), Point: p.Point, Stats: p.Stats,
		})
	}
	for _, x := range r.Restored {
		names = append(names, catalogue.Disk{Source: x.Point.Source(), ID: x.Point.Disk()})
		disks = append(disks, api.RunDisk{
			ID: x.Disk, Name: x.Name, VCenter: label(x.Source), DatastoreID: x.Datastore, Step: api.Ended, Result: api.Done,
			Capacity: x.Geometry.Capacity, ChunkSize: x.Geometry.ChunkSize, From: x.Point, Target: x.Target, Stats: x.Stats,
		})
	}
	for _, f := range r.Failed {
		names = append(names, catalogue.Disk{Source: f.Source, ID: f.Disk})
		d := api.RunDisk{ID: f.Disk, Name: f.Name, VCenter: label(f.Source), Step: api.Ended, Result: api.State(f.State), From: f.Point}
		if f.Point != "" && r.Kind == string(restore.Kind) { // the new disk is gone, or was never there
			d.ID = ""
		}
		if f.Reason != "" {
			d.Failure = &ivd.Failure{Message: f.Reason}
		}
		disks = append(disks, d)
	}
	for i, key := range backup.Keys(names) {
		disks[i].Key = string(key)
	}
	if r.Kind == string(verify.Kind) {
		disks = pointsOfSummary(r, disks, label)
	}
	slices.SortFunc(disks, func(a, b api.RunDisk) int { return strings.Compare(a.Key, b.Key) })
	return disks
}

// pointsOfSummary are those of a verification: several may be of one disk. Failed are
// the disks of those that it has not found whole.
func pointsOfSummary(r format.Run, failed []api.RunDisk, label catalogue.Label) []api.RunDisk {
	var points []api.RunDisk
	for _, x := range r.Verified {
		d := api.RunDisk{Step: api.Ended, Result: api.Done, Depth: job.Depth(x.Depth), Percent: x.Percent, Stats: x.Stats}
		verified(&d, x.Point, x.Name, label, x.Geometry)
		points = append(points, d)
	}
	points = append(points, failed...)
	for i := range points {
		points[i].Key = points[i].Name
		if points[i].From != "" {
			points[i].Key = string(verify.KeyOf(points[i].From))
		}
	}
	return points
}
