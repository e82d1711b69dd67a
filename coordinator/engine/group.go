package engine

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"ivdmover/coordinator/admit"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// Group is the items of a run that start and are cleaned up together, as their
// workflow sees them: what fails one of them fails all. It is owned by its own
// goroutine; others see the copies that its tasks publish.
type Group struct {
	Tasks []*Task

	d    *driver
	log  *slog.Logger
	wake chan struct{} // a job of the group has changed

	end   context.CancelCauseFunc // of the group's work; set by drive
	until *time.Timer             // which ends it; nil: nothing does
}

// drive takes the group from the step that is stored to its end. Work that fails or
// is cancelled goes on to cleaning up, which only the end of life interrupts.
func (g *Group) drive(life, work context.Context) {
	if g.step() == Ended {
		return
	}
	if g.step() != Cleaning {
		work, end := context.WithCancelCause(work)
		defer end(nil)
		g.end = end
		leave, err := g.enter(g.stoppable(life, work))
		if err == nil {
			defer leave()
			err = g.work(life, work)
		}
		if g.until != nil {
			g.until.Stop()
		}
		if life.Err() != nil {
			return
		}
		if err = g.settle(life, err); err != nil {
			g.log.Error("storing how the items ended failed; the next start tries again", "err", err)
			return
		}
	}
	if err := g.clean(life); err != nil && life.Err() == nil && g.d.worthSaying(err) {
		g.log.Error("cleaning up failed; the ledger keeps what is left to do", "err", err)
	}
}

// work is the main path of a group.
func (g *Group) work(life, work context.Context) (err error) {
	for {
		ctx := g.stoppable(life, work)
		switch g.step() {
		case Waiting:
			err = g.begin(ctx)
		case Preparing:
			err = g.advance(ctx, Planning, g.prepare)
		case Planning:
			err = g.advance(ctx, Moving, g.plan)
		case Moving:
			err = g.advance(ctx, Closing, g.move)
		case Closing:
			return g.try(ctx, g.close)
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// EndAt has the group's attempt end at a time with its reason, where its work is not done
// by then: it fails and is cleaned up. What is being finished is not interrupted. The
// workflow says it anew at each step: it is not stored.
func (g *Group) EndAt(at time.Time, why error) {
	if g.until != nil {
		g.until.Stop()
	}
	g.until = time.AfterFunc(time.Until(at), func() { g.end(why) })
}

// step is that of the items that are least far: to repeat a step does no harm.
func (g *Group) step() Step {
	least := Ended
	for _, t := range g.Tasks {
		if order[t.item.Step] < order[least] {
			least = t.item.Step
		}
	}
	return least
}

// stoppable is the context of the present step. Closing is not cancelled: what it
// does may be done already, and is to be seen as done.
func (g *Group) stoppable(life, work context.Context) context.Context {
	if g.step() == Closing {
		return life
	}
	return work
}

// enter waits for the group's turn. One of which an item was settled as not done,
// before a restart, is over.
func (g *Group) enter(ctx context.Context) (leave func(), err error) {
	for _, t := range g.Tasks {
		switch t.item.Result {
		case Failed:
			return nil, t.item.Failure.Err()
		case Cancelled:
			return nil, errCancelled
		}
	}
	tokens, err := g.tokens(ctx)
	if err != nil {
		return nil, err
	}
	if g.d.moves() == job.Restore {
		tokens = append(tokens, slices.Repeat([]admit.Token{admit.Writer()}, len(g.Tasks))...)
	}
	return g.d.e.gate.enter(ctx, admit.Want{Tokens: tokens, Urgent: g.Run().Urgent}, g.waits)
}

// waits shows for what the group's items wait before they may go on; empty: for nothing.
func (g *Group) waits(why string) {
	g.d.mu.Lock()
	defer g.d.mu.Unlock()
	for _, t := range g.Tasks {
		if why == "" {
			delete(g.d.waits, t.item.Key)
		} else {
			g.d.waits[t.item.Key] = why
		}
		if it, ok := g.d.board.get(t.item.Key); ok {
			g.d.putLocked(it.Item)
		}
	}
}

func (g *Group) begin(ctx context.Context) error {
	return g.each(func(t *Task) error {
		return t.save(ctx, func(it *Item) {
			it.Step, it.Started, it.Attempt = Preparing, time.Now().UTC(), it.Attempt+1
		})
	})
}

func (g *Group) prepare(ctx context.Context) error { return g.d.workflow.Prepare(ctx, g) }

func (g *Group) plan(ctx context.Context) error {
	return g.each(func(t *Task) error { return t.plan(ctx) })
}

// close has the workflow finish what the jobs have done.
func (g *Group) close(ctx context.Context) error {
	done := make(map[ItemKey][]job.Record, len(g.Tasks))
	for _, t := range g.Tasks {
		recs, err := t.records(ctx)
		if err != nil {
			return err
		}
		for _, rec := range recs {
			if err := g.d.e.Fleet.Vouched(ctx, rec); err != nil {
				return err
			}
		}
		done[t.item.Key] = recs
		t.stats = sum(recs)
	}
	err := g.d.workflow.Finish(ctx, g, done)
	if errors.Is(err, repo.ErrInDoubt) {
		g.d.inDoubt.Store(true)
	}
	return err
}

// advance does a step and stores the next.
func (g *Group) advance(ctx context.Context, to Step, step func(context.Context) error) error {
	if err := g.try(ctx, step); err != nil {
		return err
	}
	return g.each(func(t *Task) error {
		if order[t.item.Step] >= order[to] {
			return nil
		}
		return t.save(ctx, func(it *Item) { it.Step = to })
	})
}

// try does a step, again where its error may pass.
func (g *Group) try(ctx context.Context, step func(context.Context) error) error {
	g.log.Debug("group", "step", g.step())
	return againTelling(ctx, func() error { return g.d.leased(ctx, step) }, func(err error) {
		g.d.tellAgain(g.log, "a step failed", err, "step", g.step())
		if err := g.each(func(t *Task) error { return t.retried(ctx, err.Error()) }); err != nil {
			g.log.Warn("storing that a step is tried again failed", "err", err)
		}
	})
}

// settle stores what the work came to. From here on the result does not change.
func (g *Group) settle(ctx context.Context, err error) error {
	return g.each(func(t *Task) error {
		if t.item.Result != "" {
			return nil
		}
		return again(ctx, func() error {
			return t.save(ctx, func(it *Item) {
				it.Step, it.Failure = Cleaning, ivd.FailureOf(err)
				switch {
				case err == nil:
					it.Result, it.Stats = Done, t.stats
				case errors.Is(err, errCancelled):
					it.Result = Cancelled
				default:
					it.Result = Failed
				}
			})
		})
	})
}

// each does something for all tasks until one fails.
func (g *Group) each(f func(*Task) error) error {
	for _, t := range g.Tasks {
		if err := f(t); err != nil {
			return err
		}
	}
	return nil
}

func (g *Group) items() []Item {
	items := make([]Item, len(g.Tasks))
	for i, t := range g.Tasks {
		items[i] = t.item
	}
	return items
}

// rouse wakes the group's goroutine where it follows its jobs.
func (g *Group) rouse() {
	select {
	case g.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Run is the group's run as it is stored.
func (g *Group) Run() Run {
	r, _ := g.d.stored()
	return r
}

// Lease is the run's present lease. Another one may follow at any time: what belongs
// together is done under one that was asked for once.
func (g *Group) Lease() repo.Lease { return g.d.lease() }

// TakenOver reports whether the run was begun by another start or another
// coordinator, which may have come further than is stored.
func (g *Group) TakenOver() bool { return g.d.taken }

// Lasts refuses what the run's lease ends too soon for.
func (g *Group) Lasts(ctx context.Context) error { return g.d.lasts(ctx) }

// Records tells what is known of other runs.
func (g *Group) Records() Records { return g.d.e }
