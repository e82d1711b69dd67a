package run

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
)

// job is the latest record of a job; the zero record where none was seen yet.
func (a *active) job(disk ivd.DiskID, id ivd.JobID) job.Record {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.jobs[jobKey{disk, id}]
}

// putJob shows a record that was read or stored.
func (a *active) putJob(rec job.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := jobKey{rec.Disk, rec.ID}
	a.jobs[k] = rec
	if rec.State != job.Running {
		delete(a.progress, k)
	}
	a.wakeLocked()
}

// view is the run as it is now, with what the movers say of their progress.
func (a *active) view() View {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := View{Run: a.run}
	for _, d := range a.disks {
		dv := DiskView{Disk: d}
		if d.Step != Ended {
			a.liveLocked(&dv)
		}
		v.Disks = append(v.Disks, dv)
	}
	v.sum()
	return v
}

// liveLocked adds the records and the progress of a disk's jobs.
func (a *active) liveLocked(d *DiskView) {
	d.Stats = ivd.Stats{}
	var ways ways
	for _, id := range d.Jobs {
		k := jobKey{d.Ref.ID(), id}
		rec := a.jobs[k]
		d.Stats.Add(rec.Stats)
		ways.add(rec.Transports, rec.Refused)
		if p, ok := a.progress[k]; ok && rec.State == job.Running {
			d.Stats.Add(p.Stats)
			d.Movers = appendNew(d.Movers, p.Mover)
			ways.add([]string{p.Transport}, p.Refused)
		}
	}
	d.Transports, d.Refused = ways.used, ways.refused
}

func appendNew(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

func (v *View) sum() {
	v.Stats = ivd.Stats{}
	for _, d := range v.Disks {
		v.Stats.Add(d.Stats)
	}
	slices.SortFunc(v.Disks, func(a, b DiskView) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Key(), b.Key()))
	})
}

// Run is one run as it is now.
func (s *Service) Run(ctx context.Context, id ivd.RunID) (View, error) {
	if a := s.find(id); a != nil {
		return a.view(), nil
	}
	r, _, err := s.getRun(ctx, id)
	if err != nil {
		return View{}, err
	}
	return s.storedView(ctx, r)
}

// storedView is a run that this coordinator does not drive.
func (s *Service) storedView(ctx context.Context, r Run) (View, error) {
	disks, err := s.listDisks(ctx, r.ID)
	if err != nil {
		return View{}, err
	}
	v := View{Run: r}
	for _, d := range disks {
		v.Disks = append(v.Disks, DiskView{Disk: d.Disk})
	}
	v.sum()
	return v, nil
}

// Runs are all runs that are kept, the newest first.
func (s *Service) Runs(ctx context.Context) ([]View, error) {
	runs, err := s.listRuns(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]View, 0, len(runs))
	for id := range runs {
		v, err := s.Run(ctx, id)
		if ivd.KindOf(err) == ivd.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	slices.SortFunc(views, func(a, b View) int { return b.Created.Compare(a.Created) })
	return views, nil
}

// Changes are shown at most this often.
const viewEvery = 250 * time.Millisecond

// Watch yields a run now, at its changes, and last when it has ended.
func (s *Service) Watch(ctx context.Context, id ivd.RunID) iter.Seq2[View, error] {
	return func(yield func(View, error) bool) {
		for {
			a := s.find(id)
			changed, poll := (<-chan struct{})(nil), time.Duration(0)
			if a != nil {
				changed = a.next()
			} else {
				poll = time.Second // another coordinator's, or one that begins or ends just now
			}
			v, err := s.Run(ctx, id)
			if !yield(v, err) || err != nil || v.State.Ended() {
				return
			}
			if err := pause.For(ctx, max(viewEvery, poll)); err != nil {
				yield(View{}, err)
				return
			}
			if changed != nil {
				select {
				case <-changed:
				case <-a.done:
				case <-ctx.Done():
				}
			}
		}
	}
}
