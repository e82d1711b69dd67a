package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/telemetry"
)

// driver drives one run while this coordinator owns it.
type driver struct {
	e        *Engine
	log      *slog.Logger
	workflow Workflow

	id      ivd.RunID
	taken   bool        // it was begun by another start or another coordinator
	begun   int         // with how many items, by the record that was taken up
	inDoubt atomic.Bool // a commit's outcome is not known

	withheld telemetry.Seldom // what the log says of a secret that the run waits for

	cancel context.CancelCauseFunc // of the work, not of cleaning up
	done   chan struct{}           // closed when the driver has returned

	succeeding sync.Mutex // held while the run gets another lease; before storing
	storing    sync.Mutex // held while the run is stored; before mu
	mu         sync.Mutex
	holds      repo.Lease // guarded by mu, like all below
	run        Run
	rev        uint64                  // of run in the bucket
	board      *board                  // the items, as they are shown
	jobs       map[jobKey]job.Record   // of items that are moving
	progress   map[jobKey]job.Progress // beyond the records
	disks      map[ivd.DiskID]ItemKey  // whose jobs' disk it is
	groups     map[ivd.DiskID]*Group   // which moves a disk
	waits      map[ItemKey]string      // for what items wait before they may go on
	changed    chan struct{}           // closed and replaced at every change
}

type jobKey struct {
	disk ivd.DiskID
	job  ivd.JobID
}

func (e *Engine) newDriver(r Run, rev uint64, lease repo.Lease) *driver {
	return &driver{
		e: e, log: e.Log.With("run", r.ID), workflow: e.Workflows[r.Kind], holds: lease, id: r.ID,
		run: r, rev: rev, done: make(chan struct{}), changed: make(chan struct{}),
		board: newBoard(), jobs: map[jobKey]job.Record{}, progress: map[jobKey]job.Progress{},
		disks: map[ivd.DiskID]ItemKey{}, groups: map[ivd.DiskID]*Group{}, waits: map[ItemKey]string{},
	}
}

// drive takes the run to its end: every group by itself, then the run's own end. It
// returns early when the coordinator stops or loses the run.
func (d *driver) drive(always context.Context) {
	life, lose := context.WithCancelCause(always)
	defer lose(nil)
	work, cancel := context.WithCancelCause(life)
	defer cancel(nil)
	d.mu.Lock()
	d.cancel = cancel
	if d.run.Cancel {
		cancel(errCancelled)
	}
	d.mu.Unlock()

	var helpers sync.WaitGroup
	defer helpers.Wait()
	quit, stopHelpers := context.WithCancel(life)
	defer stopHelpers()
	helpers.Go(func() { d.keepBeating(quit, lose) })
	helpers.Go(func() { d.keepLease(quit) })
	helpers.Go(func() { d.followJobs(quit) })
	helpers.Go(func() { d.followProgress(quit) })

	items, err := d.ownItems(life)
	if err != nil {
		d.leave(life, "reading the run's items", err)
		return
	}
	var groups sync.WaitGroup
	for _, g := range d.groupUp(items) {
		groups.Go(func() { g.drive(life, work) })
	}
	groups.Wait()
	switch {
	case life.Err() == nil && d.allEnded():
		d.finish(life)
	case d.lost(life):
		stopHelpers() // there is nothing to follow or to prolong
		helpers.Wait()
		d.bury(always)
	default:
		d.leave(life, "bringing every item to its end", errors.New("some are not"))
	}
}

// ownItems reads the run's items. Where another one drove them before they are
// written anew, so that nothing it may still store of them succeeds: what it does
// in the world is what we would do as well.
func (d *driver) ownItems(ctx context.Context) ([]storedItem, error) {
	items, unread, err := d.e.readItems(ctx, d.id)
	if err != nil {
		return nil, err
	}
	failed, err := d.failUnread(ctx, items, unread)
	if items = append(items, failed...); err != nil || !d.taken {
		return items, err
	}
	if was := d.begun; len(items) < was {
		d.log.Error("the queue has lost records of the run", "items", was, "left", len(items))
		if err := d.update(ctx, func(r *Run) { r.Failure = itemsLost(was, len(items)) }); err != nil {
			return nil, err
		}
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(storesAtOnce)
	for i := range items {
		group.Go(func() error { return d.own(gctx, &items[i]) })
	}
	return items, group.Wait()
}

// own writes one item anew.
func (d *driver) own(ctx context.Context, it *storedItem) error {
	for it.Step != Ended {
		rev, err := d.e.Queue.State().Update(ctx, itemKey(d.id, it.Key), it.Item, it.rev)
		if err == nil {
			it.rev = rev
			return nil
		}
		if ivd.KindOf(err) != ivd.Conflict {
			return err
		}
		there, err := d.e.getItem(ctx, d.id, it.Key)
		switch kind := ivd.KindOf(err); {
		case err == nil:
			*it = there
		case kind == ivd.Corrupt || kind == ivd.Unsupported:
			*it = unreadItem{it.Key, there.rev, err}.failed(d.id)
		default:
			return err
		}
	}
	return nil
}

// groupUp makes the run's groups, in the order of their first items.
func (d *driver) groupUp(items []storedItem) []*Group {
	var groups []*Group
	byKey := map[GroupKey]*Group{}
	for _, it := range items {
		d.publish(it.Item)
		g := byKey[it.group()]
		if g == nil {
			g = &Group{d: d, log: d.log.With("group", it.group()), wake: make(chan struct{}, 1)}
			byKey[it.group()] = g
			groups = append(groups, g)
		}
		g.Tasks = append(g.Tasks, &Task{g: g, item: it.Item, rev: it.rev, log: d.log.With("item", it.Key)})
	}
	return groups
}

// finish concludes the run, stores its result, and gives the lease up.
func (d *driver) finish(ctx context.Context) {
	d.lastTry(ctx)
	v := d.view()
	v.State, v.Ended = d.result(), time.Now().UTC()
	d.conclude(ctx, v) // first: nobody looks at a run that has ended
	err := again(ctx, func() error {
		return d.update(ctx, func(r *Run) { r.State, r.Ended, r.Counts, r.Stats, r.Waiting = v.State, v.Ended, v.Counts, v.Stats, "" })
	})
	if err != nil {
		d.leave(ctx, "storing the run's end", err)
		return
	}
	d.endLease(ctx)
	d.log.Info("run ended", "state", v.State, "items", len(v.Items), "read_bytes", v.Stats.ReadBytes, "stored_bytes", v.Stats.StoredBytes)
}

func (d *driver) conclude(ctx context.Context, v View) {
	if c, ok := d.workflow.(Concluder); ok {
		if err := again(ctx, func() error { return c.Conclude(ctx, v) }); err != nil {
			d.log.Warn("storing the run's summary failed", "err", err)
		}
	}
}

// leave leaves the run as it is stored. Unless it is another one's by now, or we
// stop, it is taken up again after a while, under a lease of its own.
func (d *driver) leave(life context.Context, doing string, err error) {
	if life.Err() == nil && errors.Is(d.update(life, func(r *Run) { r.Beat++ }), errTakenOver) {
		d.log.Warn("run left", "why", errTakenOver)
		return
	}
	if life.Err() != nil {
		d.log.Info("run left as it is stored", "why", context.Cause(life))
		return
	}
	d.log.Error(doing+" failed: the run is left as it is stored, and taken up again in a while", "err", err)
	d.endLease(life)
}

// keepBeating shows other coordinators that the run has an owner, and notices a
// request to cancel that came through the bucket.
func (d *driver) keepBeating(ctx context.Context, lose context.CancelCauseFunc) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := d.update(ctx, func(r *Run) {
			now := d.summary()
			r.Beat, r.Counts, r.Stats, r.Waiting = r.Beat+1, now.Counts, now.Stats, now.Waiting
		})
		if errors.Is(err, errTakenOver) || errors.Is(err, errRecordsLost) {
			lose(err)
			return
		}
		if err != nil && ctx.Err() == nil && d.worthSaying(err) {
			d.log.Warn("storing the run's beat failed", "err", err)
		}
	}
}

// update changes the stored run. Others may only ask for its cancellation; who
// changed its owner has taken it over.
func (d *driver) update(ctx context.Context, change func(*Run)) error {
	d.storing.Lock()
	defer d.storing.Unlock()
	for {
		next, rev := d.stored()
		change(&next)
		rev, err := d.e.Queue.State().Update(ctx, runKey(next.ID), next, rev)
		if err == nil {
			d.setRun(next, rev)
			return nil
		}
		if ivd.KindOf(err) != ivd.Conflict {
			return fmt.Errorf("store run %s: %w", next.ID, err)
		}
		stored, rev, err := d.e.getRun(ctx, next.ID)
		if ivd.KindOf(err) == ivd.NotFound {
			return errRecordsLost
		}
		if err != nil {
			return err
		}
		if stored.Owner != next.Owner || stored.OwnerRun != next.OwnerRun {
			return errTakenOver
		}
		d.setRun(stored, rev)
	}
}
