package queue

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ivdmover/shared/ivd"
)

// keepEvery is how often it is looked whether all is there that only others need.
const keepEvery = 5 * time.Second

// keep makes again what is missing at the server: a server that was started again
// has forgotten what was in its memory, and its operator can remove the rest. It looks
// when the connection is back, when a call misses something, and now and then.
func (q *Queue) keep(ctx context.Context) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.Returned():
		case <-q.missed:
		case <-tick.C:
		}
		for _, p := range q.parts() {
			if err := q.keepPart(ctx, p); err != nil && ctx.Err() == nil {
				q.tellUnkept(p, err)
			}
		}
	}
}

// keepPart makes a part that is missing, and says what was lost with it.
func (q *Queue) keepPart(ctx context.Context, p part) error {
	once, cancel := q.onLine(ctx, tryTimeout)
	defer cancel()
	err := unanswered(ctx, p.there(once))
	if !isMissing(err) {
		return err
	}
	if err := unanswered(ctx, p.make(once)); err != nil {
		return err
	}
	args := []any{"what", p.what}
	if p.lost != "" {
		args = append(args, "lost", p.lost)
	}
	q.log.Warn("a part of the queue was missing at its server and is made again", args...)
	q.renew()
	return q.nc.Publish(renewedSubject, nil) // other coordinators watch it, too
}

// renew has all watches begin anew: they would go on where the part that is gone was.
func (q *Queue) renew() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.renewing()
	q.renewal, q.renewing = context.WithCancel(context.Background())
}

// untilRenewed ends ctx, too, when a part was made again, by this process or another.
func (q *Queue) untilRenewed(ctx context.Context) (context.Context, context.CancelFunc) {
	q.hearing.Do(func() {
		if _, err := q.nc.Subscribe(renewedSubject, func(*nats.Msg) { q.renew() }); err != nil {
			q.log.Debug("listening for parts that are made again failed", "error", err) // the connection is closed
		}
	})
	q.mu.Lock()
	renewal := q.renewal
	q.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(renewal, cancel)
	return ctx, func() { stop(); cancel() }
}

// tellUnkept says what time does not heal; a server that is away is told of elsewhere.
func (q *Queue) tellUnkept(p part, err error) {
	if kind, remedy := classify(err); kind != ivd.Transient {
		q.log.Warn("a part of the queue that is missing at its server cannot be made; it is tried again", "what", p.what, "error", err, "remedy", remedy)
		return
	}
	q.log.Debug("looking for a part of the queue failed", "what", p.what, "error", err)
}

// miss has keep look, where this process keeps the queue.
func (q *Queue) miss() {
	select {
	case q.missed <- struct{}{}:
	default: // it is about to look
	}
}

// isMissing reports whether the server says that a part is not there, or nobody
// answers for it.
func isMissing(err error) bool {
	return isAny(err, jetstream.ErrStreamNotFound, jetstream.ErrBucketNotFound, jetstream.ErrConsumerNotFound, jetstream.ErrNoStreamResponse)
}
