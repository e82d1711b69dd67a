package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
)

const (
	// answerLimit is how long an answer may take when the asker's context has no
	// deadline; VDDK's calls for a disk wait for vCenter's tasks.
	answerLimit = 5 * time.Minute
	// atOnce is how many requests of one kind a process answers at the same time.
	atOnce = 64
	// workingHeader marks a message to the asker that says no more than who works on
	// the answer. So a process that died is not waited for.
	workingHeader = "Ivd-Working"
	// fromHeader says whose an answer is.
	fromHeader = "Ivd-From"
)

// ErrNobody is the error of a request that nobody listens for.
var ErrNobody = errors.New("nobody listens on this queue")

// Ask lets a mover call VDDK for a disk and waits for its answer, five minutes
// where ctx has no deadline. What the mover failed at is in the answer; an error
// says that there is none. Kind Transient: no such mover answers, or it
// has fallen silent. It is not asked twice, and without an answer it may or may not
// have done it.
func (q *Queue) Ask(ctx context.Context, mover string, req job.Request) (job.Reply, error) {
	if err := checkMover(mover); err != nil {
		return job.Reply{}, err
	}
	var reply job.Reply
	op := "ask mover " + mover + " to " + string(req.Op)
	if err := q.ask(ctx, op, moverSubject(mover), "no mover "+mover, req, &reply); err != nil {
		return job.Reply{}, err
	}
	return reply, nil
}

// ServeRequests answers a mover's requests from now until stop is called, or ctx
// or the queue ends; it returns as soon as they are listened for. answer is called
// from several goroutines; its context ends with all that. stop waits until the
// answers under way are sent; to repeat it is harmless. A request of a newer
// program is refused without asking answer.
func (q *Queue) ServeRequests(ctx context.Context, name string, answer func(context.Context, job.Request) job.Reply) (stop func(), err error) {
	if err := checkMover(name); err != nil {
		return nil, err
	}
	return q.serve(ctx, moverSubject(name), func(ctx context.Context, _ string, body []byte) any {
		var req job.Request
		if err := decode("request", body, &req); err != nil {
			return job.Reply{Version: job.Version, Failure: ivd.FailureOf(err)}
		}
		reply := answer(ctx, req)
		reply.Version = job.Version
		return reply
	})
}

// ask sends one request. nobody names who is missing when nobody listens.
func (q *Queue) ask(ctx context.Context, op, subject, nobody string, req, reply any) error {
	return q.askBy(op, nobody, req, reply, func(body []byte) (*nats.Msg, error) { return q.request(ctx, subject, body) })
}

// askBy has send ask for an answer and reads it.
func (q *Queue) askBy(op, nobody string, req, reply any, send func(body []byte) (*nats.Msg, error)) error {
	body, err := json.Marshal(req)
	if err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Op: op, Err: err}
	}
	m, err := send(body)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return &ivd.Error{Kind: ivd.Transient, Op: op, Err: fmt.Errorf("%s answers: %w", nobody, ErrNobody), Remedy: "check that it runs and is connected to the same queue"}
	case err != nil:
		return fail(err, "%s", op)
	}
	if err := decode("answer", m.Data, reply); err != nil {
		return &ivd.Error{Op: op, Err: err}
	}
	return nil
}

// request sends one request and waits for the answer, as long as who answers says
// at least once in an AckWait that it works.
func (q *Queue) request(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerLimit, errTooLong)
	defer cancel()
	sub, err := q.nc.SubscribeSync(q.nc.NewInbox())
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // it fails when the connection, and with it the subscription, is closed
	if err := q.nc.PublishRequest(subject, sub.Subject, body); err != nil {
		return nil, err
	}
	for {
		once, cancel := q.onLine(ctx, q.ackWait)
		m, err := sub.NextMsgWithContext(once)
		cancel()
		switch {
		case err != nil:
			return nil, tooLong(ctx, err)
		case m.Header.Get(workingHeader) == "":
			return m, nil
		}
	}
}

var errTooLong = ivd.Errorf(ivd.Transient, "no answer for %s", answerLimit)

// tooLong is why a request has no answer.
func tooLong(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errTooLong) {
		return errTooLong
	}
	return unanswered(ctx, err)
}

// serve answers requests on subject. Servers of one subject share its requests.
// When ctx ends nothing more is taken, and answers under way are sent.
func (q *Queue) serve(ctx context.Context, subject string, answer func(ctx context.Context, subject string, body []byte) any) (stop func(), err error) {
	sub, err := q.nc.QueueSubscribeSync(subject, "ivd")
	if err != nil {
		return nil, fail(err, "listen for %s", subject)
	}
	return q.listen(ctx, sub, responder{q.log, nuid.Next(), q.ackWait / 4, q.ackWait / 4, answer})
}

// serveAll is serve where each of the servers answers each request: it says at once
// that it works on it, so that whoever asks knows for whom to wait.
func (q *Queue) serveAll(ctx context.Context, subject string, answer func(ctx context.Context, subject string, body []byte) any) (stop func(), err error) {
	sub, err := q.nc.SubscribeSync(subject)
	if err != nil {
		return nil, fail(err, "listen for %s", subject)
	}
	return q.listen(ctx, sub, responder{q.log, nuid.Next(), 0, q.ackWait / 4, answer})
}

// listen has r answer what comes in, until ctx or the queue ends or stop is called.
func (q *Queue) listen(ctx context.Context, sub *nats.Subscription, r responder) (stop func(), err error) {
	// The server knows of the subscription before anybody is told to ask.
	if err := q.retry(ctx, q.nc.FlushWithContext); err != nil {
		_ = sub.Unsubscribe()
		return nil, fail(err, "listen for %s", sub.Subject)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{}) // closed when the last answer is sent
	q.background(ctx, func(ctx context.Context) {
		defer close(ended)
		var answers sync.WaitGroup
		defer answers.Wait()
		slots := make(chan struct{}, atOnce)
		for {
			m, err := sub.NextMsgWithContext(ctx)
			if err != nil {
				if ctx.Err() == nil {
					q.log.Error("no longer listening", "subject", sub.Subject, "error", err)
				}
				break
			}
			slots <- struct{}{}
			answers.Go(func() {
				defer func() { <-slots }()
				r.respond(ctx, m)
			})
		}
		r.refuse(sub)
	})
	return func() { cancel(); <-ended }, nil
}

// responder answers requests of one kind.
type responder struct {
	log          *slog.Logger
	name         string        // tells it from others
	first, every time.Duration // when it says that it works, and how often
	answer       func(ctx context.Context, subject string, body []byte) any
}

// respond answers one request, and says now and then that it is being worked on.
func (r responder) respond(ctx context.Context, m *nats.Msg) {
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	var says sync.WaitGroup
	says.Go(func() {
		for wait := r.first; pause.For(working, wait) == nil; wait = r.every {
			w := nats.NewMsg(m.Reply)
			w.Header.Set(workingHeader, r.name)
			_ = m.RespondMsg(w) // who cannot be told gives up, and that is right
		}
	})
	v := r.answer(ctx, m.Subject, m.Data)
	stop()
	says.Wait()
	body, err := json.Marshal(v)
	if err == nil {
		a := nats.NewMsg(m.Reply)
		a.Header.Set(fromHeader, r.name)
		a.Data = body
		err = m.RespondMsg(a)
	}
	if err != nil {
		r.log.Warn("answer not sent", "subject", m.Subject, "error", err)
	}
}

// refuse ends a subscription and tells who asked in the last moment, so that it
// need not wait.
func (r responder) refuse(sub *nats.Subscription) {
	if sub.Drain() != nil {
		return // the connection is closed
	}
	limit, cancel := context.WithTimeout(context.Background(), tryTimeout)
	defer cancel()
	r.answer = func(context.Context, string, []byte) any {
		return refusal{job.Version, &ivd.Failure{Kind: ivd.Transient, Message: "it was asked while it stopped"}}
	}
	for {
		m, err := sub.NextMsgWithContext(limit)
		if err != nil {
			return
		}
		r.respond(limit, m)
	}
}

// refusal is the part that all answers have.
type refusal struct {
	Version int          `json:"version"`
	Failure *ivd.Failure `json:"failure"`
}
