package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Task is an item while it is driven, as its workflow sees it. It is owned by its
// group's goroutine.
type Task struct {
	g    *Group
	log  *slog.Logger
	item Item
	rev  uint64

	jobs      map[ivd.JobID]job.Job    // as planned; made anew after a restart
	failing   bool                     // a job failed for good, and others are followed to their ends
	published bool                     // all that is queued by its record is on the queue
	under     ivd.LeaseID              // which the jobs' records say; empty: not known
	vouched   map[ivd.JobID]job.Record // as a mover vouches for them
	stranded  map[ivd.JobID]int        // looks for which no mover was there that could do it
	stats     ivd.Stats                // of the work that is being finished
}

// Item is the item as it is stored.
func (t *Task) Item() Item { return t.item }

// Log names the run and the item.
func (t *Task) Log() *slog.Logger { return t.log }

// Save stores the item's body, the workflow's own. Kind Permanent: another
// coordinator has taken the run over.
func (t *Task) Save(ctx context.Context, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode item %s of run %s: %w", t.item.Key, t.item.Run, err)
	}
	return t.save(ctx, func(it *Item) { it.Body = raw })
}

// Count sets what the item's work came to, where its jobs' records do not say so.
func (t *Task) Count(s ivd.Stats) { t.stats = s }

// save changes the stored item. Only the run's owner does; a conflict says that
// there is another one now.
func (t *Task) save(ctx context.Context, change func(*Item)) error {
	next := t.item
	change(&next)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// Not given up half-way: what was stored all the same would look like another owner's.
	rev, err := t.g.d.e.Queue.State().Update(context.WithoutCancel(ctx), itemKey(next.Run, next.Key), next, t.rev)
	if ivd.KindOf(err) == ivd.Conflict {
		return ivd.Errorf(ivd.Permanent, "store item %s of run %s: %w", next.Key, next.Run, errTakenOver)
	}
	if err != nil {
		return fmt.Errorf("store item %s of run %s: %w", next.Key, next.Run, err)
	}
	t.item, t.rev = next, rev
	t.g.d.publish(next)
	return nil
}

// retried notes that something of the item is tried again.
func (t *Task) retried(ctx context.Context, why string) error {
	return t.save(ctx, func(it *Item) { it.Retries, it.Retried = it.Retries+1, why })
}

// plan makes the item's jobs from what is stored of it: the same each time.
func (t *Task) plan(ctx context.Context) error {
	if t.jobs != nil {
		return nil
	}
	jobs, err := t.g.d.workflow.Plan(ctx, t.g, t)
	if err != nil {
		return err
	}
	byID := make(map[ivd.JobID]job.Job, len(jobs))
	ids := make([]ivd.JobID, len(jobs))
	var disk ivd.DiskID
	for i, j := range jobs {
		j.Version, j.Class, j.Run = job.Version, job.AnyClass, t.item.Run
		j.Repository, j.Root = t.g.d.e.Leases.ID(), t.g.d.e.Leases.Root()
		byID[j.ID], ids[i], disk = j, j.ID, j.Key()
	}
	if err := t.save(ctx, func(it *Item) { it.Jobs, it.Disk = ids, disk }); err != nil {
		return err
	}
	t.jobs = byID
	t.g.d.expect(t)
	return nil
}

// Jobs are the item's jobs, planned anew after a restart.
func (t *Task) Jobs(ctx context.Context) ([]job.Job, error) {
	if err := t.plan(ctx); err != nil {
		return nil, err
	}
	jobs := make([]job.Job, len(t.item.Jobs))
	for i, id := range t.item.Jobs {
		jobs[i] = t.jobs[id]
	}
	return jobs, nil
}

// records reads the records of the item's jobs.
func (t *Task) records(ctx context.Context) (recs []job.Record, err error) {
	for _, id := range t.item.Jobs {
		rec, _, err := t.g.d.e.Queue.JobRecord(ctx, t.item.Run, t.item.Disk, id)
		if ivd.KindOf(err) == ivd.NotFound {
			continue // the workflow misses it, or knows better
		}
		if err != nil {
			return nil, err
		}
		recs = append(recs, rec)
	}
	return recs, nil
}

func sum(recs []job.Record) (s ivd.Stats) {
	for _, rec := range recs {
		s.Add(rec.Stats)
	}
	return s
}
