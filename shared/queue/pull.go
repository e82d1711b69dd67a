package queue

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
)

const (
	// fetchWait is how long one request for a job stays with the server.
	fetchWait = 20 * time.Second
	// refusedDelay is how long a job waits that this program is too old for.
	refusedDelay = 30 * time.Second
)

// Jobs takes jobs of one kind off the queue.
func (q *Queue) Jobs(kind job.Kind) *Puller { return &Puller{q: q, kind: kind} }

// Puller takes jobs of one kind. Its methods are safe for concurrent use.
type Puller struct {
	q    *Queue
	kind job.Kind

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
	failures := pause.Backoff{First: 100 * time.Millisecond, Cap: 2 * time.Second, Retry: answerable}.Series()
	for {
		got, err := p.fetchOnce(ctx, free)
		switch {
		case len(got) > 0:
			return got, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("fetch %s jobs: %w", p.kind, ctx.Err())
		case err == nil:
			failures.Reset()
			continue
		}
		p.q.log.Debug("fetching jobs failed", "kind", p.kind, "error", err)
		if err := failures.Wait(ctx, err); err != nil {
			return nil, fail(err, "fetch %s jobs", p.kind)
		}
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
	if p.early(m) {
		return nil
	}
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

// early hands back what a server that was away delivers again at once because
// nobody could tell it that the job is in progress. Its mover has an AckWait from
// here to do so, if it lives.
func (p *Puller) early(m jetstream.Msg) bool {
	wait := p.ackWait()
	if !p.q.justBack(wait) {
		return false
	}
	meta, err := m.Metadata()
	if err != nil || meta.NumDelivered < 2 {
		return false
	}
	_ = m.NakWithDelay(wait) // who cannot be told delivers it again after AckWait
	return true
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
