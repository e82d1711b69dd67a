package ledger

import (
	"testing"
	"time"

	"ivdmover/shared/pause"
)

// To look for what ended owners have left, as a coordinator does every few seconds,
// asks the queue's server for nothing while the owners live.
func TestLookingCostsNothing(t *testing.T) {
	w := newWorld(t)
	w.mu.Lock()
	w.over = false
	w.mu.Unlock()
	_, err := w.l.Open(t.Context(), Obligation{Run: "r", Item: "i", Kind: "held"}, nil)
	w.must(err)
	standing := w.l.Standing()
	for n := 0; n != 1; {
		all, err := standing.All(t.Context())
		w.must(err)
		w.must(pause.For(t.Context(), time.Millisecond))
		n = len(all)
	}
	before, err := w.broker.Traffic()
	w.must(err)
	for range 50 {
		w.must(w.l.Settle(t.Context(), standing))
		w.l.Wait()
	}
	after, err := w.broker.Traffic()
	w.must(err)
	if n := after.Messages - before.Messages; n > 20 { // the watch's own heartbeat, a ping
		t.Errorf("50 looks cost %d messages", n)
	}
}
