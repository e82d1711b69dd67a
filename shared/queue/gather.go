package queue

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"

	"ivdmover/shared/ivd"
)

// lateWorker is how long one who was asked may take to say that it works on an
// answer, before it is taken for granted that nobody else will.
const lateWorker = time.Second

// askAll sends one request to all who listen and takes the first answer of somebody
// whom it concerns: refusals of kind NotFound and Conflict count only when nobody
// has another answer.
func (q *Queue) askAll(ctx context.Context, op, subject string, req, reply any) error {
	return q.askBy(op, "no coordinator", req, reply, func(body []byte) (*nats.Msg, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, answerLimit, errTooLong)
		defer cancel()
		return q.gather(ctx, subject, body)
	})
}

// gather listens for answers until one concerns its sender, or all who said that
// they work on one have sent theirs.
func (q *Queue) gather(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	sub, err := q.nc.SubscribeSync(q.nc.NewInbox())
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // it fails when the connection, and with it the subscription, is closed
	if err := q.nc.PublishRequest(subject, sub.Subject, body); err != nil {
		return nil, err
	}
	var refused *nats.Msg
	working := map[string]bool{}
	for {
		limit := q.ackWait
		if refused != nil && len(working) == 0 {
			limit = lateWorker
		}
		once, cancel := q.onLine(ctx, limit)
		m, err := sub.NextMsgWithContext(once)
		cancel()
		switch {
		case err != nil && refused != nil && ctx.Err() == nil:
			return refused, nil
		case err != nil:
			return nil, tooLong(ctx, err)
		case m.Header.Get(workingHeader) != "":
			working[m.Header.Get(workingHeader)] = true
			continue
		case concerns(m.Data):
			return m, nil
		}
		delete(working, m.Header.Get(fromHeader))
		if refused == nil || kindOf(m.Data) == ivd.Conflict {
			refused = m // that another one does it says more than that one does not
		}
	}
}

func concerns(answer []byte) bool {
	k := kindOf(answer)
	return k != ivd.NotFound && k != ivd.Conflict
}

// kindOf is the kind of an answer's failure. One that cannot be read is its
// reader's to refuse.
func kindOf(answer []byte) ivd.Kind {
	var r refusal
	if json.Unmarshal(answer, &r) != nil || r.Failure == nil {
		return ""
	}
	return r.Failure.Kind
}
