package engine

import (
	"context"
	"iter"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
)

// Change is a run with those of its items that have changed since the change before,
// in the order of their keys; the first one has them all.
type Change struct {
	Run   Run
	Items []ItemView
}

// How often a run is looked at that is watched: changes are shown at most this often,
// and one that this coordinator does not drive is asked for so often.
const (
	viewEvery = 250 * time.Millisecond
	askEvery  = time.Second
)

// Watch yields a run now, at its changes, and last when it has ended. Where it comes
// to another driver meanwhile, all items are yielded again.
func (e *Engine) Watch(ctx context.Context, id ivd.RunID) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for {
			over, err := false, error(nil)
			if d := e.find(id); d != nil {
				over, err = d.watch(ctx, yield)
			} else {
				over, err = e.watchStored(ctx, id, yield)
			}
			if err != nil {
				yield(Change{}, err)
			}
			if over || err != nil {
				return
			}
		}
	}
}

// changes are what has changed after a change, and the number of the latest one; next
// is closed at the one after it.
func (d *driver) changes(since uint64) (c Change, latest uint64, next <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Change{d.sumLocked(), d.board.since(since)}, d.board.seq, d.changed
}

// watch yields the changes of a run that is driven here, until it is no more. Over:
// there is nothing more to yield.
func (d *driver) watch(ctx context.Context, yield func(Change, error) bool) (over bool, err error) {
	for seen, left := uint64(0), false; ; {
		c, latest, next := d.changes(seen)
		if !yield(c, nil) || c.Run.State.Ended() {
			return true, nil
		}
		if left {
			return false, nil
		}
		seen = latest
		if err := pause.For(ctx, viewEvery); err != nil {
			return false, err
		}
		select {
		case <-next:
		case <-d.done:
			left = true // what it changed last is yielded
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// watchStored yields the changes of a run that another coordinator drives, or nobody,
// until this one does.
func (e *Engine) watchStored(ctx context.Context, id ivd.RunID, yield func(Change, error) bool) (over bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if r, _, err := e.getRun(ctx, id); err != nil || r.State.Ended() {
		return e.watchEnded(ctx, id, yield, err)
	}
	events, err := e.Queue.State().Watch(ctx, "item."+string(id))
	if err != nil {
		return false, err
	}
	w := &storedWatch{run: id, board: newBoard()}
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case ev, ok := <-events:
			if !ok {
				return false, context.Cause(ctx)
			}
			if w.put(ev); !ev.Current {
				continue
			}
		case <-tick.C:
		}
		r, rev, err := e.getRun(ctx, id)
		if err != nil || r.State.Ended() {
			return e.watchEnded(ctx, id, yield, err)
		}
		if c, ok := w.change(r, rev); ok && !yield(c, nil) {
			return true, nil
		}
		if e.find(id) != nil {
			return false, nil
		}
	}
}

// watchEnded yields a run that is over, whose items change no more.
func (e *Engine) watchEnded(ctx context.Context, id ivd.RunID, yield func(Change, error) bool, err error) (over bool, _ error) {
	if err != nil {
		return false, err
	}
	v, err := e.View(ctx, id)
	if err != nil {
		return false, err
	}
	yield(Change{v.Run, v.Items}, nil)
	return true, nil
}

// storedWatch is what was told and shown of a run that is driven elsewhere.
type storedWatch struct {
	run     ivd.RunID
	board   *board
	current bool   // all that was there is told
	shown   uint64 // the latest change of the board that was shown
	rev     uint64 // and of the run
}

func (w *storedWatch) put(ev queue.Event) {
	if ev.Current || ev.Deleted {
		w.current = w.current || ev.Current
		return
	}
	it, err := readItem(w.run, ev.Entry)
	w.board.put(ItemView{Item: it, Unread: err})
}

// change is what there is to show, if anything.
func (w *storedWatch) change(r Run, rev uint64) (c Change, ok bool) {
	if !w.current || rev == w.rev && w.board.seq == w.shown {
		return c, false
	}
	c = Change{w.board.sum(r), w.board.since(w.shown)}
	w.shown, w.rev = w.board.seq, rev
	return c, true
}
