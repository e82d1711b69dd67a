package image

import (
	"context"
	"fmt"
	"sync"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/repo"
)

// renewAhead is how long before a lease's end another is opened: long enough to
// outlast an outage.
const renewAhead = 2 * time.Hour

// renewAgain is the back-off of what could not be renewed.
var renewAgain = pause.Backoff{First: 5 * time.Second, Cap: 5 * time.Minute}

// hold is the lease under which an image is read, and its successors. A nil hold is
// of an image that is read without one.
type hold struct {
	r     *repo.Repository
	point ivd.PointID
	open  func(context.Context) (lease ivd.LeaseID, own bool, err error)
	begin Opener

	mu       sync.Mutex
	lease    repo.Lease
	own      bool // the image ends it
	renewAt  time.Time
	renewing chan struct{} // closed when the attempt under way has ended; nil: there is none
	failures int           // to renew, in a row
	failure  error         // the last of them
	gone     bool          // the point is being deleted: there is no other lease
}

// begin opens the first lease, or takes the one that is given, and reads the point
// under it (R1).
func begin(ctx context.Context, r *repo.Repository, o Options) (*hold, format.Point, error) {
	own := func(ctx context.Context) (ivd.LeaseID, bool, error) {
		l, err := r.OpenLease(ctx, repo.LeaseSpec{Kind: repo.ReadLease, Owner: o.Owner})
		return l.ID, true, err
	}
	h := &hold{r: r, point: o.Point, open: own, begin: r.OpenPoint}
	if o.OpenPoint != nil {
		h.begin = o.OpenPoint
	}
	if o.Renew != nil {
		h.open = func(ctx context.Context) (ivd.LeaseID, bool, error) {
			l, err := o.Renew(ctx)
			return l, false, err
		}
	}
	first := h.open
	if o.Lease != "" {
		first = func(context.Context) (ivd.LeaseID, bool, error) { return o.Lease, false, nil }
	}
	p, err := h.take(ctx, first)
	return h, p, err
}

// take has a point opened under a lease that open opens, and goes on under it.
func (h *hold) take(ctx context.Context, open func(context.Context) (ivd.LeaseID, bool, error)) (format.Point, error) {
	id, own, err := open(ctx)
	if err != nil {
		return format.Point{}, err
	}
	l, p, err := h.begin(ctx, id, h.point)
	if err != nil {
		if own {
			h.drop(ctx, id)
		}
		return format.Point{}, err
	}
	now := h.r.Now()
	h.mu.Lock()
	old, endOld := h.lease, h.own
	h.lease, h.own, h.failures, h.failure = l, own, 0, nil
	h.renewAt = l.Deadline.Add(-min(renewAhead, l.Deadline.Sub(now)/2))
	h.mu.Unlock()
	if endOld {
		h.drop(ctx, old.ID)
	}
	return p, nil
}

// stands returns nil when the lease stands: whatever is read is asked for after it.
// Where the lease comes to its end it sees to another one, which only those wait for
// whose lease has ended already.
func (h *hold) stands(ctx context.Context) error {
	if h == nil {
		return nil
	}
	for {
		now := h.r.Now()
		h.mu.Lock()
		ended, due := !now.Before(h.lease.Deadline), !now.Before(h.renewAt)
		wait := h.renewing
		switch {
		case !ended && (!due || h.gone || wait != nil):
			h.mu.Unlock()
			return nil
		case ended && (h.gone || wait == nil && !due && h.failure != nil):
			defer h.mu.Unlock()
			return h.endedLocked()
		case wait != nil:
			h.mu.Unlock()
			select {
			case <-wait:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		h.renewing = make(chan struct{})
		h.mu.Unlock()
		err := h.renew(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil && ended {
			return err
		}
	}
}

// renew is R1 once more. What fails is tried again after a while, as long as the
// lease stands; of a point that is being deleted the rest may be read under the lease
// that there is (R2), and under no other.
func (h *hold) renew(ctx context.Context) error {
	_, err := h.take(ctx, h.open)
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.renewing)
	h.renewing = nil
	if err == nil || ctx.Err() != nil {
		return err
	}
	h.failure = err
	h.failures++
	h.renewAt = h.r.Now().Add(renewAgain.After(h.failures))
	h.gone = h.gone || ivd.KindOf(err) == ivd.NotFound
	return h.endedLocked()
}

// endedLocked says why there is no lease to read under (R3).
func (h *hold) endedLocked() error {
	return fmt.Errorf("read %s: lease %s ends at %s, and there is no other: %w", h.point, h.lease.ID, h.lease.Deadline.Format(time.RFC3339), h.failure)
}

// end ends the lease where it is the image's own.
func (h *hold) end(ctx context.Context) {
	if h != nil && h.own {
		h.drop(ctx, h.lease.ID)
	}
}

// drop ends a lease. Where that fails it runs out by itself.
func (h *hold) drop(ctx context.Context, id ivd.LeaseID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropLimit)
	defer cancel()
	_ = h.r.EndLease(ctx, id)
}

// dropLimit bounds the end of a lease, which is no more than a courtesy.
const dropLimit = 30 * time.Second
