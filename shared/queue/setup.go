package queue

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	moverLife = 60 * time.Second // of a heartbeat
	// markerLife is how long a deletion stays visible to those who watch.
	markerLife = time.Hour
	// repeatWindow is how long the server remembers a message's id.
	repeatWindow = 2 * time.Minute
)

// Setup creates the stream, its consumers and the buckets, or brings those that
// are there to this form. The coordinator calls it after Connect; to repeat it is
// harmless. From then on until Close, what is missing at the server is made again.
func (q *Queue) Setup(ctx context.Context) error {
	for _, p := range q.parts() {
		if err := q.retry(ctx, p.make); err != nil {
			return fail(err, "set up %s", p.what)
		}
	}
	q.keeping.Do(func() { q.background(q.ctx, q.keep) })
	return nil
}

// part is something of the queue's that lies at the server.
type part struct {
	what  string
	lost  string // with it, for people; empty: nothing
	there func(context.Context) error
	make  func(context.Context) error
}

// parts are in the order in which they are made.
func (q *Queue) parts() []part {
	return []part{
		{"stream " + jobStream, "the jobs on the queue; a coordinator that still has their records publishes them again within a minute", q.stream(jobStream), q.setupStream},
		{"consumers of " + jobStream, "", q.consumers, q.setupConsumers},
		{"bucket " + stateBucket, "runs, their disks and the ledger; `ivd snapshots` shows the snapshots that may be left", q.stream(bucketStream(stateBucket)), q.setupBucket(jetstream.KeyValueConfig{
			Bucket:         stateBucket,
			Description:    "runs, disks and the ledger of ivdmover",
			History:        1,
			Storage:        jetstream.FileStorage,
			LimitMarkerTTL: markerLife,
		})},
		{"bucket " + recordBucket, "jobs' records: jobs under way begin anew", q.stream(bucketStream(recordBucket)), q.setupBucket(jetstream.KeyValueConfig{
			Bucket:         recordBucket,
			Description:    "records of ivdmover's jobs: the one bucket that movers share with coordinators",
			History:        1,
			Storage:        jetstream.FileStorage,
			LimitMarkerTTL: markerLife,
		})},
		{"bucket " + moverBucket, "heartbeats, which movers send again by themselves", q.stream(bucketStream(moverBucket)), q.setupBucket(jetstream.KeyValueConfig{
			Bucket:      moverBucket,
			Description: "heartbeats of ivdmover's movers",
			History:     1,
			// A heartbeat is worth nothing after a restart, and not worth a sync.
			Storage:        jetstream.MemoryStorage,
			TTL:            moverLife,
			LimitMarkerTTL: moverLife, // without it, who watches does not learn of an expiry
		})},
	}
}

func (q *Queue) setupStream(ctx context.Context) error {
	_, err := q.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        jobStream,
		Description: "jobs of ivdmover, each until it is acknowledged",
		Subjects:    []string{"ivd.job.>"},
		Retention:   jetstream.WorkQueuePolicy,
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew,
		Duplicates:  repeatWindow,
	})
	return err
}

func (q *Queue) setupConsumers(ctx context.Context) error {
	for _, kind := range kinds {
		_, err := q.js.CreateOrUpdateConsumer(ctx, jobStream, jetstream.ConsumerConfig{
			Durable:       string(kind),
			FilterSubject: kindFilter(kind),
			AckPolicy:     jetstream.AckExplicitPolicy,
			AckWait:       q.ackWait,
			MaxDeliver:    -1, // attempts are counted in the job's record, before they start
			MaxAckPending: -1, // limits are admission's
			MaxWaiting:    4096,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// stream asks whether a stream is there.
func (q *Queue) stream(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := q.js.Stream(ctx, name)
		return err
	}
}

// consumers asks whether all consumers are there.
func (q *Queue) consumers(ctx context.Context) error {
	for _, kind := range kinds {
		if _, err := q.js.Consumer(ctx, jobStream, string(kind)); err != nil {
			return err
		}
	}
	return nil
}

func (q *Queue) setupBucket(c jetstream.KeyValueConfig) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := q.js.CreateOrUpdateKeyValue(ctx, c)
		return err
	}
}
