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
// harmless.
func (q *Queue) Setup(ctx context.Context) error {
	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"stream " + jobStream, q.setupStream},
		{"consumers of " + jobStream, q.setupConsumers},
		{"bucket " + stateBucket, q.setupBucket(jetstream.KeyValueConfig{
			Bucket:         stateBucket,
			Description:    "runs, disks, jobs and the ledger of ivdmover",
			History:        1,
			Storage:        jetstream.FileStorage,
			LimitMarkerTTL: markerLife,
		})},
		{"bucket " + moverBucket, q.setupBucket(jetstream.KeyValueConfig{
			Bucket:      moverBucket,
			Description: "heartbeats of ivdmover's movers",
			History:     1,
			// A heartbeat is worth nothing after a restart, and not worth a sync.
			Storage:        jetstream.MemoryStorage,
			TTL:            moverLife,
			LimitMarkerTTL: moverLife, // without it, who watches does not learn of an expiry
		})},
	}
	for _, s := range steps {
		if err := q.retry(ctx, s.do); err != nil {
			return fail(err, "set up %s", s.what)
		}
	}
	return nil
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

func (q *Queue) setupBucket(c jetstream.KeyValueConfig) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := q.js.CreateOrUpdateKeyValue(ctx, c)
		return err
	}
}
