package queue

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/nats-io/nats.go"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// PublishProgress tells who listens how far a job is. It is lost where nobody
// does, or where the server is away.
func (q *Queue) PublishProgress(p job.Progress) error {
	if err := firstError(checkToken("run", p.Run), checkMover(p.Mover)); err != nil {
		return err
	}
	body, err := json.Marshal(p)
	if err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Op: "progress", Err: err}
	}
	return fail(q.nc.Publish(progressSubject(p.Run, p.Mover), body), "tell the progress of job %s", p.Job)
}

// SubscribeProgress calls tell, one at a time, with the progress of a run's jobs
// (of all runs when run is empty), until ctx or the queue ends; then it returns
// nil. Some is lost where tell is slow or the server is away.
func (q *Queue) SubscribeProgress(ctx context.Context, run ivd.RunID, tell func(job.Progress)) error {
	subject := progressSubject("*", "*")
	if run != "" {
		if err := checkToken("run", run); err != nil {
			return err
		}
		subject = progressSubject(run, "*")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(q.ctx, cancel)()
	sub, err := q.nc.SubscribeSync(subject)
	if err != nil {
		return fail(err, "listen for progress")
	}
	defer func() { _ = sub.Unsubscribe() }() // it fails when the connection, and with it the subscription, is closed
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, nats.ErrSlowConsumer):
			continue // told once after some were lost
		case err != nil:
			return fail(err, "listen for progress")
		}
		var p job.Progress
		if decode("progress", m.Data, &p) == nil { // else it is of a newer mover, and nothing depends on it
			tell(p)
		}
	}
}
