package pipeline

import (
	"context"
	"time"

	"ivdmover/shared/ivd"
)

// reads is how far a job has come that only reads, and what of it is sealed. It is used
// by one goroutine.
type reads struct {
	meter      *Meter
	limits     Limits
	checkpoint func(context.Context, Batch) error
	stop       <-chan struct{}

	begun  time.Time // of the batch
	sealed ivd.Stats
}

func newReads(m *Meter, l Limits, checkpoint func(context.Context, Batch) error, stop <-chan struct{}) reads {
	return reads{meter: m, limits: l, checkpoint: checkpoint, stop: stop, begun: time.Now()}
}

// between is where the job may be left and taken up again: it seals where that is due, or
// is to be done at once, and ends the job where it is asked to stop.
func (r *reads) between(ctx context.Context, b Batch, atOnce bool) (sealed bool, err error) {
	stop := stopped(r.stop)
	if !stop && !atOnce && !r.due() {
		return false, nil
	}
	if err := r.seal(ctx, b); err != nil {
		return false, err
	}
	if stop {
		return true, ErrStopped
	}
	return true, nil
}

func (r *reads) due() bool {
	return time.Since(r.begun) >= r.limits.Time || r.meter.Total().ReadBytes-r.sealed.ReadBytes >= r.limits.Bytes
}

// seal stores what the job has come to, with what it has read since it was stored last.
func (r *reads) seal(ctx context.Context, b Batch) error {
	total := r.meter.Total()
	b.Stats = less(total, r.sealed)
	if err := r.checkpoint(ctx, b); err != nil {
		return err
	}
	r.meter.seal()
	r.sealed, r.begun = total, time.Now()
	return nil
}

// stopped reports whether a job is asked to stop.
func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}
