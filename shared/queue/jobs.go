package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"ivdmover/shared/ivd"
)

const (
	// fetchWait is how long one request for a job stays with the server.
	fetchWait = 20 * time.Second
	// refusedDelay is how long a job waits that this program is too old for.
	refusedDelay = 30 * time.Second
)

// Publish puts a job on the queue whose record says that it is queued; when it
// returns nil the job is stored there. To repeat it, at any time, by any
// coordinator, puts no second one there: nothing is done where the job waits
// already, or where its record says that a mover runs it or has done it. A job
// that failed is queued again with the next attempt's number, which is read from
// its record.
func (q *Queue) Publish(ctx context.Context, j Job) error {
	op := fmt.Sprintf("queue job %s of disk %s", j.ID, j.Disk.Disk)
	if err := checkJob(&j); err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Op: op, Err: err}
	}
	body, err := json.Marshal(j)
	if err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Op: op, Err: err}
	}
	rec, _, err := q.JobRecord(ctx, j.Run, j.Disk.Disk, j.ID)
	if err != nil && ivd.KindOf(err) != ivd.NotFound {
		return &ivd.Error{Op: op, Err: err}
	}
	if rec.State == JobRunning || rec.State == JobDone {
		return nil
	}
	id := fmt.Sprintf("%s/%s/%s/%s/%d", j.Run, j.Disk.Disk, j.ID, j.Lease, rec.Attempt)
	return fail(q.publish(ctx, jobSubject(&j), id, body), "%s", op)
}

// publish stores a message once. The server knows ids for a while only, so the
// subject, which is the job's own, is looked at first.
func (q *Queue) publish(ctx context.Context, subject, id string, body []byte) error {
	waits, err := q.waits(ctx, subject, id)
	if err != nil || waits {
		return err
	}
	ack, err := q.send(ctx, subject, id, body)
	if err != nil || !ack.Duplicate {
		return err
	}
	if waits, err = q.waits(ctx, subject, id); err != nil || waits {
		return err
	}
	// It was queued and taken off without an attempt: withdrawn, or dropped.
	_, err = q.send(ctx, subject, id+"/"+nuid.Next(), body)
	return err
}

func (q *Queue) send(ctx context.Context, subject, id string, body []byte) (ack *jetstream.PubAck, err error) {
	err = q.retry(ctx, func(ctx context.Context) error {
		ack, err = q.js.Publish(ctx, subject, body, jetstream.WithMsgID(id), jetstream.WithExpectStream(jobStream))
		return err
	})
	return ack, err
}

// waits tells whether the last message of a subject has this id: it is there as
// long as nobody acknowledged it.
func (q *Queue) waits(ctx context.Context, subject, id string) (yes bool, err error) {
	err = q.retry(ctx, func(ctx context.Context) error {
		s, err := q.js.Stream(ctx, jobStream)
		if err != nil {
			return err
		}
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err == nil {
			yes = strings.HasPrefix(m.Header.Get(jetstream.MsgIDHeader), id)
		}
		return err
	})
	return yes, err
}

// purge removes a stream's messages by subject.
func (q *Queue) purge(ctx context.Context, stream, filter string) error {
	return q.retry(ctx, func(ctx context.Context) error {
		s, err := q.js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		return s.Purge(ctx, jetstream.WithPurgeSubject(filter))
	})
}

func checkJob(j *Job) error {
	err := firstError(
		checkToken("kind", j.Kind), checkToken("class", j.Class), checkToken("run", j.Run),
		checkToken("disk", j.Disk.Disk), checkToken("job", j.ID), CheckVersion("job", j.Version, Version))
	if err == nil && j.Version < 1 {
		err = errors.New("no version")
	}
	return err
}

// Jobs takes jobs of one kind off the queue.
func (q *Queue) Jobs(kind JobKind) *Puller { return &Puller{q: q, kind: kind} }

// Puller takes jobs of one kind. Its methods are safe for concurrent use.
type Puller struct {
	q    *Queue
	kind JobKind

	mu       sync.Mutex
	consumer jetstream.Consumer
}

// Fetch waits until there is a job and returns at least one and at most free of
// them, the caller's free slots. Nothing stays ordered from the server beyond
// what it returns: what comes in when ctx has ended goes back at once. While the
// server is away it waits and tries again; it fails only with ctx, with the
// queue's end, or with what time does not heal.
//
// A message that is no job of this version never reaches the caller: it is logged
// as an error and goes back for a newer program, or away when it is broken.
func (p *Puller) Fetch(ctx context.Context, free int) ([]*Delivery, error) {
	if free < 1 {
		return nil, ivd.Errorf(ivd.Invalid, "fetch %s jobs: no free slot", p.kind)
	}
	for wait := 100 * time.Millisecond; ; {
		got, err := p.fetchOnce(ctx, free)
		switch {
		case len(got) > 0:
			return got, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("fetch %s jobs: %w", p.kind, ctx.Err())
		case err == nil:
			wait = 100 * time.Millisecond
			continue
		}
		if kind, _ := classify(err); kind != ivd.Transient {
			return nil, fail(err, "fetch %s jobs", p.kind)
		}
		p.q.log.Debug("fetch jobs: trying again", "kind", p.kind, "error", err)
		if !pause(ctx, wait) {
			return nil, fmt.Errorf("fetch %s jobs: %w", p.kind, ctx.Err())
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// fetchOnce takes what is there, and else waits for one. So no more than that
// one can be under way when the caller's need changes.
func (p *Puller) fetchOnce(ctx context.Context, free int) ([]*Delivery, error) {
	c, err := p.bind(ctx)
	if err != nil {
		return nil, err
	}
	batch, err := c.FetchNoWait(free)
	if err != nil {
		return nil, err
	}
	got, err := p.collect(ctx, batch)
	if err != nil || len(got) > 0 {
		return got, err
	}
	once, cancel := p.q.onLine(ctx, fetchWait)
	defer cancel()
	batch, err = c.Fetch(1, jetstream.FetchContext(once))
	if err != nil {
		return nil, err
	}
	got, err = p.collect(ctx, batch)
	if ctx.Err() == nil && isAny(err, context.DeadlineExceeded, context.Canceled) {
		err = nil // nothing came, or the connection was lost: ask again
	}
	return got, err
}

func (p *Puller) bind(ctx context.Context) (jetstream.Consumer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.consumer != nil {
		return p.consumer, nil
	}
	once, cancel := p.q.onLine(ctx, tryTimeout)
	defer cancel()
	c, err := p.q.js.Consumer(once, jobStream, string(p.kind))
	if err != nil {
		return nil, unanswered(ctx, err)
	}
	p.consumer = c
	return c, nil
}

// collect reads a batch to its end. When ctx has ended, it goes back.
func (p *Puller) collect(ctx context.Context, batch jetstream.MessageBatch) ([]*Delivery, error) {
	var got []*Delivery
	for m := range batch.Messages() {
		if ctx.Err() != nil {
			_ = m.Nak() // who cannot be told delivers it again after AckWait
			continue
		}
		if d := p.decode(m); d != nil {
			got = append(got, d)
		}
	}
	if len(got) > 0 {
		return got, nil
	}
	return nil, batch.Error()
}

func (p *Puller) decode(m jetstream.Msg) *Delivery {
	j, err := decodeJob(m.Data())
	if err == nil {
		return &Delivery{Job: j, q: p.q, msg: m, ackWait: p.ackWait()}
	}
	log := p.q.log.With("subject", m.Subject(), "error", err)
	if ivd.KindOf(err) == ivd.Unsupported {
		log.Error("job is for a newer mover: handed back", "remedy", ivd.RemedyOf(err))
		_ = m.NakWithDelay(refusedDelay)
		return nil
	}
	log.Error("message on the queue is no job: taken off")
	_ = m.TermWithReason("not decodable")
	return nil
}

// ackWait is the server's, whatever this client was configured with.
func (p *Puller) ackWait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if info := p.consumer.CachedInfo(); info != nil && info.Config.AckWait > 0 {
		return info.Config.AckWait
	}
	return p.q.ackWait
}

// decodeJob reads the version first: what a newer program wrote need not decode.
func decodeJob(body []byte) (Job, error) {
	var j Job
	if err := decode("job", body, &j); err != nil {
		return Job{}, err
	}
	if err := checkJob(&j); err != nil {
		return Job{}, &ivd.Error{Kind: ivd.Corrupt, Op: "job", Err: err}
	}
	return j, nil
}

// decode reads a message or a record of this package.
func decode(what string, body []byte, v any) error {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(body, &head); err != nil {
		return &ivd.Error{Kind: ivd.Corrupt, Op: what, Err: err}
	}
	if err := CheckVersion(what, head.Version, Version); err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return &ivd.Error{Kind: ivd.Corrupt, Op: what, Err: err}
	}
	return nil
}
