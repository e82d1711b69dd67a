package engine

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

// View is a run with its items and their sum.
type View struct {
	Run
	Items []ItemView
	Stats ivd.Stats
}

// ItemView is an item with the progress of its jobs that are under way.
type ItemView struct {
	Item
	Movers []string
}

// job is the latest record of a job; the zero record where none was seen yet.
func (d *driver) job(k jobKey) job.Record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.jobs[k]
}

// view is the run as it is now, with what the movers say of their progress.
func (d *driver) view() View {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := View{Run: d.run}
	for _, it := range d.items {
		iv := ItemView{Item: it}
		if it.Step != Ended {
			d.liveLocked(&iv)
		}
		v.Items = append(v.Items, iv)
	}
	v.sum()
	return v
}

// liveLocked adds the records and the progress of an item's jobs.
func (d *driver) liveLocked(it *ItemView) {
	it.Stats = ivd.Stats{}
	var w ways
	for _, id := range it.Jobs {
		k := jobKey{it.Disk, id}
		rec := d.jobs[k]
		it.Stats.Add(rec.Stats)
		w.add(rec.Transports, rec.Refused)
		if p, ok := d.progress[k]; ok && rec.State == job.Running {
			it.Stats.Add(p.Stats)
			it.Movers = appendNew(it.Movers, p.Mover)
			w.add([]string{p.Transport}, p.Refused)
		}
	}
	it.Transports, it.Refused = w.used, w.refused
}

func (v *View) sum() {
	v.Stats, v.Counts = ivd.Stats{}, Counts{}
	for _, it := range v.Items {
		v.Stats.Add(it.Stats)
		v.Counts.Add(it.Item)
	}
	slices.SortFunc(v.Items, func(a, b ItemView) int { return cmp.Compare(a.Key, b.Key) })
}

// Run is one run as it is now.
func (e *Engine) Run(ctx context.Context, id ivd.RunID) (View, error) {
	if d := e.find(id); d != nil {
		return d.view(), nil
	}
	r, _, err := e.getRun(ctx, id)
	if err != nil {
		return View{}, err
	}
	return e.storedView(ctx, r)
}

// storedView is a run that this coordinator does not drive.
func (e *Engine) storedView(ctx context.Context, r Run) (View, error) {
	items, err := e.listItems(ctx, r.ID)
	if err != nil {
		return View{}, err
	}
	v := View{Run: r}
	for _, it := range items {
		v.Items = append(v.Items, ItemView{Item: it.Item})
	}
	v.sum()
	return v, nil
}

// Runs are all runs that are kept, the newest first.
func (e *Engine) Runs(ctx context.Context) ([]View, error) {
	runs, err := e.listRuns(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]View, 0, len(runs))
	for id := range runs {
		v, err := e.Run(ctx, id)
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
func (e *Engine) Watch(ctx context.Context, id ivd.RunID) iter.Seq2[View, error] {
	return func(yield func(View, error) bool) {
		for {
			d := e.find(id)
			changed, poll := (<-chan struct{})(nil), time.Duration(0)
			if d != nil {
				changed = d.next()
			} else {
				poll = time.Second // another coordinator's, or one that begins or ends just now
			}
			v, err := e.Run(ctx, id)
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
				case <-d.done:
				case <-ctx.Done():
				}
			}
		}
	}
}
