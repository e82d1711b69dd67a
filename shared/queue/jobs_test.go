package queue_test

import (
	"testing"
	"time"

	"ivdmover/shared/queue"
)

func TestJobIsTakenOnceAndAcknowledged(t *testing.T) {
	q := newHouse(t).connect(queue.Options{})
	ctx := within(t, 20*time.Second)
	must(t, q.Publish(ctx, testJob("0001")))
	must(t, q.Publish(ctx, testJob("0001"))) // a repeat
	got, err := q.Jobs(queue.Backup).Fetch(ctx, 4)
	must(t, err)
	if len(got) != 1 || got[0].Job.ID != "0001" {
		t.Fatalf("fetched %v, want job 0001 once", got)
	}
	must(t, got[0].Ack(ctx))
}
