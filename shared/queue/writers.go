package queue

import (
	"context"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// AskWriter asks the coordinators of an encrypted repository to sign and store a writer's
// record. Kind Transient: no coordinator answers, or the job is not known to be claimed.
func (q *Queue) AskWriter(ctx context.Context, req job.WriterRequest) error {
	const op = "ask for a writer to be registered"
	subject, err := keysSubject(writerQuestion, req.Repository, req.Claim.Mover)
	if err := firstError(err, checkMover(req.Claim.Mover)); err != nil {
		return err
	}
	var a refusal
	if err := q.ask(ctx, op, subject, noCoordinatorOf(req.Repository), req, &a); err != nil {
		return err
	}
	if err := a.Failure.Err(); err != nil {
		return &ivd.Error{Op: op, Err: err}
	}
	return nil
}

// ServeWriters answers such questions of movers, as ServeGrants does; register gets the
// mover's heartbeat.
func (q *Queue) ServeWriters(ctx context.Context, repository string, register func(context.Context, job.WriterRequest, job.Mover) error) (stop func(), err error) {
	subject, err := keysSubject(writerQuestion, repository, "*")
	if err != nil {
		return nil, err
	}
	answer := func(ctx context.Context, subject string, body []byte) error {
		var req job.WriterRequest
		if err := decode("question for a writer", body, &req); err != nil {
			return err
		}
		m, err := q.asker(ctx, subject, req.Claim.Mover, req.Claim.Process)
		if err != nil {
			return err
		}
		return register(ctx, req, m)
	}
	return q.serve(ctx, subject, func(ctx context.Context, subject string, body []byte) any {
		return refusal{job.Version, ivd.FailureOf(answer(ctx, subject, body))}
	})
}
