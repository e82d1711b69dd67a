package engine

import (
	"context"
	"slices"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// View is a run with its items.
type View struct {
	Run
	Items []ItemView
}

// ItemView is an item with the progress of its jobs that are under way.
type ItemView struct {
	Item
	Movers []string
	Waits  string // for what, before it may go on; known only to who drives its run
	Unread error  // why its record cannot be read: no more than its key is known
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
	return View{Run: d.sumLocked(), Items: d.board.since(0)}
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

// Run is one run as it is now, without its items.
func (e *Engine) Run(ctx context.Context, id ivd.RunID) (Run, error) {
	if d := e.find(id); d != nil {
		return d.summary(), nil
	}
	r, _, err := e.getRun(ctx, id)
	return r, err
}

// View is one run as it is now, with its items.
func (e *Engine) View(ctx context.Context, id ivd.RunID) (View, error) {
	if d := e.find(id); d != nil {
		return d.view(), nil
	}
	r, _, err := e.getRun(ctx, id)
	if err != nil {
		return View{}, err
	}
	items, unread, err := e.readItems(ctx, r.ID)
	if err != nil {
		return View{}, err
	}
	b := newBoard()
	for _, it := range items {
		b.put(ItemView{Item: it.Item})
	}
	for _, x := range unread {
		b.put(x.view(r.ID))
	}
	v := b.view(r)
	if len(unread) > 0 { // what is stored of the run knows better
		v.Run = r
	}
	return v, nil
}

// Runs are all runs that are kept, the newest first, without their items. The sums of
// those that another coordinator drives are as of its latest beat. Unread says of those
// that cannot be read why.
func (e *Engine) Runs(ctx context.Context) (runs []Run, unread map[ivd.RunID]error, err error) {
	stored, unread, err := e.readRuns(ctx)
	if err != nil {
		return nil, nil, err
	}
	runs = make([]Run, 0, len(stored))
	for id, r := range stored {
		if d := e.find(id); d != nil {
			r = d.summary()
		}
		runs = append(runs, r)
	}
	slices.SortFunc(runs, func(a, b Run) int { return b.Created.Compare(a.Created) })
	return runs, unread, nil
}
