package engine

import (
	"context"
	"sync"
	"time"

	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
)

// watchOver looks at regular intervals, until ctx ends, for what nobody drives, and
// keeps admission informed. Each look has its own pace: none waits for another.
func (e *Engine) watchOver(ctx context.Context) {
	var looks sync.WaitGroup
	runs := e.standingRuns()
	for _, l := range []struct {
		what         string
		first, every time.Duration
		look         func(context.Context) error
	}{
		{"counting the movers", 0, countEvery, e.countFleet},
		{"looking for runs that nobody drives", 0, lookEvery, func(ctx context.Context) error { return e.lookAfter(ctx, runs) }},
		{"looking for what ended runs have left", 0, lookEvery, e.Ledger.Settle},
		{"looking for what came late", sweepFirst, sweepEvery, e.sweep},
		{"pruning old runs", sweepFirst, sweepEvery, e.prune},
	} {
		looks.Go(func() {
			for wait := l.first; pause.For(ctx, wait) == nil; wait = e.pace(l.every) {
				if err := l.look(ctx); err != nil && ctx.Err() == nil {
					e.Log.Warn(l.what+" failed; it is tried again", "err", err)
				}
			}
		})
	}
	looks.Wait()
	e.Ledger.Wait()
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
	handles, err := e.Fleet.Handles(ctx)
	if err != nil {
		return err
	}
	e.gate.setFleet(handles)
	return nil
}
