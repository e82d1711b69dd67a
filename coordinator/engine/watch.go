package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
)

// watchOver looks at regular intervals, until ctx ends, for what nobody drives, and
// keeps admission informed. Each look has its own pace: none waits for another.
func (e *Engine) watchOver(ctx context.Context) {
	var looks sync.WaitGroup
	runs, entries := e.standingRuns(), e.Ledger.Standing()
	note := func(ctx context.Context) error { return e.noteStanding(ctx, runs, entries) }
	for _, l := range []struct {
		what         string
		first, every time.Duration
		look         func(context.Context) error
	}{
		{"counting the movers", 0, countEvery, e.countFleet},
		{"looking for runs that nobody drives", 0, lookEvery, func(ctx context.Context) error { return e.lookAfter(ctx, runs) }},
		{"looking for what ended runs have left", 0, lookEvery, func(ctx context.Context) error { return e.Ledger.Settle(ctx, entries) }},
		{"looking for what came late", sweepFirst, sweepEvery, e.sweep},
		{"noting what is under way", noteEvery, noteEvery, note},
		{"pruning old runs", sweepFirst, sweepEvery, e.prune},
	} {
		looks.Go(func() {
			for wait := l.first; pause.For(ctx, wait) == nil; wait = e.pace(l.every) {
				if err := l.look(ctx); err != nil && ctx.Err() == nil && ivd.KindOf(err) != ivd.Withheld { // of which the log has one line
					e.Log.Warn(l.what+" failed; it is tried again", "err", err)
				}
			}
		})
	}
	looks.Wait()
	e.Ledger.Wait()
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), lastNote)
	defer stop()
	if err := note(last); err != nil {
		e.Log.Warn("noting what is under way failed: what the queue may lose until the next start is not noticed", "err", err)
	}
}

// lastNote is how long what is under way may take to be noted at the end.
const lastNote = 5 * time.Second

// recalled looks, before anything is taken up, for what the queue has lost, and begins
// to note what is written.
func (e *Engine) recalled(ctx context.Context) bool {
	if err := e.recall(ctx); err != nil {
		e.tellUnrecalled(ctx, err)
		return false
	}
	if err := e.noteFirst(ctx); err != nil && ctx.Err() == nil {
		e.Log.Warn("noting what is under way failed; it is tried again", "err", err)
	}
	return true
}

// lookAfter takes up the runs that nobody drives, as a standing watch has them.
func (e *Engine) lookAfter(ctx context.Context, runs *queue.Mirror[Run]) error {
	all, err := runs.All(ctx)
	if err != nil {
		return err
	}
	return e.adopt(ctx, all)
}

// pace is how long to wait for the next look: less while groups wait for the first
// mover to be seen.
func (e *Engine) pace(every time.Duration) time.Duration {
	if every == countEvery && e.gate.stalled() {
		return countEvery / 10
	}
	return every
}

// countFleet tells admission how many disks the movers can hold.
func (e *Engine) countFleet(ctx context.Context) error {
	reading, err := e.Fleet.Handles(ctx, job.Backup)
	if err != nil {
		return err
	}
	writing, err := e.Fleet.Handles(ctx, job.Restore)
	if err != nil {
		return err
	}
	e.gate.setFleet(reading, writing)
	return errors.Join(e.noteShortage(ctx, job.Backup, reading), e.noteShortage(ctx, job.Restore, writing))
}
