package queue_test

import (
	"testing"
	"time"

	"ivdmover/coordinator/broker"
	"ivdmover/shared/queue"
)

// A lost connection that is back is told, once for each time.
func TestReturned(t *testing.T) {
	s, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	must(t, err)
	t.Cleanup(s.Close)
	cut := newCutter(t, s.ClientURL()[len("nats://"):])
	q, err := queue.Connect(t.Context(), queue.Options{URL: "nats://" + cut.l.Addr().String(), CredsFile: s.CoordinatorCreds()})
	must(t, err)
	t.Cleanup(q.Close)
	ctx := within(t, 60*time.Second)
	must(t, q.Setup(ctx))
	for range 2 {
		back := q.Returned()
		select {
		case <-back:
			t.Fatal("told before anything was lost")
		default:
		}
		cut.arm("$KV.IVD_STATE.lost")
		_, err := q.State().Put(ctx, "lost", counter{})
		must(t, err)
		select {
		case <-back:
		case <-ctx.Done():
			t.Fatal("not told")
		}
	}
	cut.wantCuts(2)
}
