package engine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

// sweep has each workflow look for what its runs may have left.
func (e *Engine) sweep(ctx context.Context) error {
	var errs []error
	for _, w := range e.Workflows {
		if s, ok := w.(Sweeper); ok {
			errs = append(errs, s.Sweep(ctx, e))
		}
	}
	return errors.Join(errs...)
}

// Ended lists the items of this coordinator's runs of a kind that have ended within so
// much time; within 0: those of all coordinators, whenever that was. One whose record
// cannot be read is left out, so that it hides none of the others.
func (e *Engine) Ended(ctx context.Context, k Kind, within time.Duration) ([]Item, error) {
	runs, err := e.listRuns(ctx)
	if err != nil {
		return nil, err
	}
	since := e.Now().Add(-within)
	var ended []Item
	for id, r := range runs {
		if r.Kind != k || within > 0 && (r.Owner != e.Instance || r.State.Ended() && r.Ended.Before(since)) {
			continue
		}
		items, unread, err := e.readItems(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, x := range unread {
			e.Log.Warn("an item is left out", "run", id, "item", x.key, "err", x.err)
		}
		for _, it := range items {
			if it.Step == Ended && (within == 0 || it.Ended.After(since)) {
				ended = append(ended, it.Item)
			}
		}
	}
	return ended, nil
}

// turn is when something was done last that coordinators do for each other.
type turn struct {
	Version int       `json:"version"`
	Taken   time.Time `json:"taken"`
	By      string    `json:"by"`
}

// Due reports whether something is due that coordinators which share a queue do for
// each other, and takes the turn by compare-and-swap. When the record is lost it is due.
func (e *Engine) Due(ctx context.Context, what string, every time.Duration) (bool, error) {
	key := "turn." + hex.EncodeToString([]byte(what))
	last, rev, err := queue.Get[turn](ctx, e.Queue.State(), key)
	now := turn{Version: Version, Taken: e.Now().UTC(), By: e.Instance}
	switch {
	case ivd.KindOf(err) == ivd.NotFound:
		_, err = e.Queue.State().Create(ctx, key, now)
	case err != nil:
		return false, fmt.Errorf("read when %s were looked for: %w", what, err)
	case now.Taken.Sub(last.Taken).Abs() < every: // a clock that was wrong keeps nobody from it
		return false, nil
	default:
		_, err = e.Queue.State().Update(ctx, key, now, rev)
	}
	if k := ivd.KindOf(err); k == ivd.Exists || k == ivd.Conflict {
		return false, nil // another one has just taken it
	}
	if err != nil {
		return false, fmt.Errorf("store that %s are looked for: %w", what, err)
	}
	return true, nil
}
