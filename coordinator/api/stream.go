package api

import (
	"context"
	"iter"
	"time"

	"ivdmover/coordinator/run"
	"ivdmover/shared/pause"
)

// update is what a watch yielded last.
type update struct {
	view run.View
	err  error
}

// gapAfter is the pause after a view was shown: longer after one of many disks, so
// that a run over a whole estate does not fill the line with itself.
func gapAfter(v run.View) time.Duration {
	return eventGap + time.Duration(len(v.Disks))*eventGapDisk
}

// stream hands on the newest of what views yields, with gapAfter between two, the
// last one always, and calls alive when there was nothing for eventIdle. It
// returns when views has ended, when ctx ends, or when a call fails; whoever
// yields has returned by then.
func stream(ctx context.Context, views iter.Seq2[run.View, error], event func(run.View, error) error, alive func() error) {
	ctx, cancel := context.WithCancel(ctx)
	newest := make(chan update, 1) // closed by gather
	gathered := make(chan struct{})
	go func() {
		defer close(gathered)
		gather(ctx, views, newest)
	}()
	defer func() { cancel(); <-gathered }()

	idle := time.NewTicker(eventIdle)
	defer idle.Stop()
	for {
		select {
		case u, more := <-newest:
			if !more || ctx.Err() != nil {
				return
			}
			if event(u.view, u.err) != nil || u.err != nil {
				return
			}
			idle.Reset(eventIdle)
			if !u.view.State.Ended() && pause.For(ctx, gapAfter(u.view)) != nil {
				return
			}
		case <-idle.C:
			if alive() != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// gather keeps only the newest update in the channel, and closes it at the end.
func gather(ctx context.Context, views iter.Seq2[run.View, error], newest chan update) {
	defer close(newest)
	for view, err := range views {
		if ctx.Err() != nil {
			return
		}
		select { // drop what was not taken; nobody else puts
		case <-newest:
		default:
		}
		newest <- update{view, err}
		if err != nil {
			return
		}
	}
}
