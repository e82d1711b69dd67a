package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// Spec is a run that is to begin, as its workflow makes it of a request.
type Spec struct {
	Kind    Kind
	Lease   format.LeaseKind // what the run works under; NoLease: nothing
	Urgent  bool             // admitted before others
	Failure *ivd.Failure     // what is left out
	Body    any
	Items   []ItemSpec
}

// ItemSpec is an item of a run that is to begin.
type ItemSpec struct {
	Key   ItemKey
	Group GroupKey // empty: it is a group by itself
	Body  any
}

// Begin stores a run and begins to drive it. It returns as soon as the run is
// stored: first its items and then the run, so that a run that is seen is whole.
func (e *Engine) Begin(ctx context.Context, s Spec) (View, error) {
	if err := e.Serving(ctx); err != nil {
		return View{}, err
	}
	r, items, err := e.make(s)
	if err != nil {
		return View{}, err
	}
	var lease repo.Lease
	err = Soon(ctx, func(ctx context.Context) (err error) {
		lease, err = e.openLease(ctx, r)
		return err
	})
	if err != nil {
		return View{}, err
	}
	r.Lease, r.Deadline = lease.ID, lease.Deadline
	rev, err := e.store(ctx, r, items)
	if err != nil {
		e.unused(ctx, lease)
		return View{}, err
	}
	e.Log.Info("run begins", "run", r.ID, "kind", r.Kind, "items", len(items))
	d := e.newDriver(r, rev, lease)
	for _, it := range items {
		d.publish(it)
	}
	e.drive(d)
	return d.view(), nil
}

// make is a run and its items before anything of them is stored.
func (e *Engine) make(s Spec) (r Run, items []Item, err error) {
	now := e.Leases.Now().UTC().Truncate(time.Second) // runs and points are named by it
	r = Run{
		Version: Version, ID: ivd.NewRunID(now), Kind: s.Kind, State: Running, Created: now, Urgent: s.Urgent, LeaseKind: s.Lease,
		Owner: e.Instance, OwnerRun: e.start, Failure: s.Failure, Repository: e.Leases.ID(), Counts: Counts{Items: len(s.Items), Waiting: len(s.Items)},
	}
	if r.Body, err = json.Marshal(s.Body); err != nil {
		return r, nil, fmt.Errorf("encode run %s: %w", r.ID, err)
	}
	items = make([]Item, len(s.Items))
	for i, x := range s.Items {
		items[i] = Item{Version: Version, Run: r.ID, Key: x.Key, Group: x.Group, Step: Waiting}
		if items[i].Body, err = json.Marshal(x.Body); err != nil {
			return r, nil, fmt.Errorf("encode item %s: %w", x.Key, err)
		}
	}
	return r, items, nil
}

// storesAtOnce is how many records of items are on their way to the queue at once:
// its server, and not the way there and back, is what a run of many waits for.
const storesAtOnce = 64

func (e *Engine) store(ctx context.Context, r Run, items []Item) (uint64, error) {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(storesAtOnce)
	for _, it := range items {
		group.Go(func() error {
			if _, err := e.Queue.State().Create(gctx, itemKey(r.ID, it.Key), it); err != nil {
				return fmt.Errorf("store item %s: %w", it.Key, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	rev, err := e.Queue.State().Create(ctx, runKey(r.ID), r)
	if err != nil {
		return 0, fmt.Errorf("store run %s: %w", r.ID, err)
	}
	return rev, nil
}

// Cancel asks for the end of a run. Items that are done stay done.
func (e *Engine) Cancel(ctx context.Context, id ivd.RunID) error {
	if d := e.find(id); d != nil {
		if r, _ := d.stored(); !r.State.Ended() {
			return d.update(ctx, func(r *Run) { r.Cancel = true })
		}
	}
	return again(ctx, func() error {
		r, rev, err := e.getRun(ctx, id)
		if err != nil {
			return err
		}
		if r.State.Ended() {
			return &ivd.Error{Kind: ivd.Unmet, Err: fmt.Errorf("run %s is over: %s", id, r.State)}
		}
		r.Cancel = true
		_, err = e.Queue.State().Update(ctx, runKey(id), r, rev)
		return err
	})
}
