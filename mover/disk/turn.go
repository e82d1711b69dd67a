package disk

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"ivdmover/shared/ivd"
)

// ErrYielded is the error of an opening that had to wait for another one that hangs:
// another process may open the disk at once.
var ErrYielded = errors.New("opening another disk hangs here")

// patience is how long one opening may keep others waiting.
const patience = 20 * time.Second

// turn lets one disk be opened at a time, as VMware asks for.
type turn struct {
	patience time.Duration
	room     chan struct{} // has room for one
	yielded  chan struct{} // closed when those who wait are to go elsewhere
	since    atomic.Int64  // when the present opening began, in nanoseconds; 0: there is none
	waiting  atomic.Int64
}

func (t *turn) init(wait time.Duration) {
	t.patience, t.room, t.yielded = wait, make(chan struct{}, 1), make(chan struct{})
	if t.patience <= 0 {
		t.patience = patience
	}
}

// take waits for the turn, and returns how it is given back.
func (t *turn) take(ctx context.Context) (give func(), err error) {
	t.waiting.Add(1)
	defer t.waiting.Add(-1)
	yielded := &ivd.Error{Kind: ivd.Transient, Err: ErrYielded}
	select {
	case <-t.yielded:
		return nil, yielded
	default:
	}
	select {
	case t.room <- struct{}{}:
	case <-t.yielded:
		return nil, yielded
	case <-ctx.Done():
		return nil, &ivd.Error{Kind: ivd.Transient, Op: "wait until another disk is opened", Err: context.Cause(ctx)}
	}
	t.since.Store(time.Now().UnixNano())
	return func() {
		t.since.Store(0)
		<-t.room
	}, nil
}

// stuck reports whether an opening keeps others waiting for too long.
func (t *turn) stuck() bool {
	since := t.since.Load()
	return since != 0 && t.waiting.Load() > 0 && time.Since(time.Unix(0, since)) >= t.patience
}

// Yield sends those away who wait until another disk is opened, now and from now on.
// It is called once.
func (h *Host) Yield() { close(h.turn.yielded) }
