package queue

import (
	"context"
	"fmt"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/sealed"
)

// sealedAnswer is a coordinator's answer that only the mover which asked can read. It is
// never stored.
type sealedAnswer struct {
	Version int          `json:"version"`
	Failure *ivd.Failure `json:"failure,omitempty"`
	Sealed  []byte       `json:"sealed,omitempty"`
}

// askSealed asks coordinators for what travels sealed; key is the private half of the key
// in this mover's heartbeat.
func (q *Queue) askSealed(ctx context.Context, op, subject, nobody string, req any, about sealed.Question, key *sealed.Key) ([]byte, error) {
	var a sealedAnswer
	if err := q.ask(ctx, op, subject, nobody, req, &a); err != nil {
		return nil, err
	}
	if err := a.Failure.Err(); err != nil {
		return nil, &ivd.Error{Op: op, Err: err}
	}
	plain, err := key.Open(about, a.Sealed)
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Denied, Op: op, Err: err}
	}
	return plain, nil
}

// serveSealed answers questions with what answer has sealed.
func (q *Queue) serveSealed(ctx context.Context, subject string, answer func(ctx context.Context, subject string, body []byte) ([]byte, error)) (stop func(), err error) {
	return q.serve(ctx, subject, func(ctx context.Context, subject string, body []byte) any {
		b, err := answer(ctx, subject, body)
		return sealedAnswer{Version: job.Version, Failure: ivd.FailureOf(err), Sealed: b}
	})
}

// asker is the heartbeat of the mover's process that asks, which must be the one that the
// subject names.
func (q *Queue) asker(ctx context.Context, subject, mover, process string) (job.Mover, error) {
	if err := saidBy(subject, mover); err != nil {
		return job.Mover{}, err
	}
	m, err := q.Mover(ctx, mover)
	if ivd.KindOf(err) == ivd.NotFound {
		return m, ivd.Errorf(ivd.Transient, "mover %s has no heartbeat, so there is no key to seal an answer to", mover)
	}
	if err != nil {
		return m, err
	}
	if m.Process != process {
		return m, ivd.Errorf(ivd.Conflict, "the heartbeat of mover %s is of another process; is there a second mover of this name?", mover)
	}
	return m, nil
}

// sealTo seals an answer to the key in a mover's heartbeat.
func sealTo(mover string, publicKey []byte, about sealed.Question, plain []byte) ([]byte, error) {
	b, err := sealed.Seal(publicKey, about, plain)
	if err != nil {
		return nil, fmt.Errorf("seal an answer for mover %s: %w", mover, err)
	}
	return b, nil
}
