package queue

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"ivdmover/shared/job"

	"github.com/nats-io/nats.go/jetstream"
)

// Delivery is a job in the hands of this process, until one of Ack, Return and
// Drop, or until AckWait passes without InProgress.
type Delivery struct {
	Job job.Job

	q       *Queue
	msg     jetstream.Msg
	ackWait time.Duration
}

// InProgress gives the delivery another AckWait.
func (d *Delivery) InProgress(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return fail(d.msg.InProgress(), "say that job %s is in progress", d.Job.ID)
}

// Ack takes the job off the queue, and returns nil only when the server has said
// so. A failure means that the job may be delivered once more.
func (d *Delivery) Ack(ctx context.Context) error {
	return fail(d.q.retry(ctx, d.msg.DoubleAck), "acknowledge job %s", d.Job.ID)
}

// Return hands the job back; it is delivered again after delay.
func (d *Delivery) Return(ctx context.Context, delay time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if delay <= 0 {
		return fail(d.msg.Nak(), "return job %s", d.Job.ID)
	}
	return fail(d.msg.NakWithDelay(delay), "return job %s", d.Job.ID)
}

// Drop takes the job off the queue although it was not done.
func (d *Delivery) Drop(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return fail(d.msg.Term(), "drop job %s", d.Job.ID)
}

// Heart says that a delivery is in progress, three times in an AckWait, as long
// as somebody touches it in between: a worker that hangs loses its job.
type Heart struct {
	touched atomic.Bool
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// Heart starts one. It beats until Stop, or until ctx ends.
func (d *Delivery) Heart(ctx context.Context) *Heart {
	ctx, stop := context.WithCancel(ctx)
	h := &Heart{stop: stop}
	h.touched.Store(true)
	h.done.Go(func() {
		tick := time.NewTicker(d.ackWait / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			// A failed beat says that the server is away; the next one may reach it.
			if h.touched.Swap(false) && d.InProgress(ctx) != nil {
				h.touched.Store(true)
			}
		}
	})
	return h
}

// Touch says that a call on the disk or on the store has completed.
func (h *Heart) Touch() { h.touched.Store(true) }

// Stop ends the heart and waits for it. To repeat it is harmless.
func (h *Heart) Stop() {
	h.stop()
	h.done.Wait()
}
