package queue

import (
	"context"
	"encoding/json"

	"ivdmover/shared/ivd"
)

// PublishProgress tells who listens how far a job is. It is lost where nobody
// does, or where the server is away.
func (q *Queue) PublishProgress(p Progress) error {
	if err := checkToken("run", p.Run); err != nil {
		return err
	}
	body, err := json.Marshal(p)
	if err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Op: "progress", Err: err}
	}
	return fail(q.nc.Publish(progressSubject(p.Run), body), "tell the progress of job %s", p.Job)
}

// SubscribeProgress tells the progress of a run's jobs, of all runs when run is
// empty. Who reads too slowly misses some. The channel is closed when ctx or the
// queue ends.
func (q *Queue) SubscribeProgress(ctx context.Context, run ivd.RunID) (<-chan Progress, error) {
	subject := progressSubject("*")
	if run != "" {
		if err := checkToken("run", run); err != nil {
			return nil, err
		}
		subject = progressSubject(run)
	}
	sub, err := q.nc.SubscribeSync(subject)
	if err == nil {
		if err = q.retry(ctx, q.nc.FlushWithContext); err != nil {
			_ = sub.Unsubscribe()
		}
	}
	if err != nil {
		return nil, fail(err, "listen for progress")
	}
	out := make(chan Progress, 256)
	q.background(ctx, func(ctx context.Context) {
		defer close(out)
		for {
			m, err := sub.NextMsgWithContext(ctx)
			if err != nil {
				break
			}
			var p Progress
			if decode("progress", m.Data, &p) != nil {
				continue // of a newer mover; nothing depends on it
			}
			select {
			case out <- p:
			default:
			}
		}
		_ = sub.Unsubscribe() // it fails when the connection is closed, and with it the subscription
	})
	return out, nil
}
