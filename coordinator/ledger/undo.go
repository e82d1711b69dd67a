package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ivdmover/shared/ivd"
)

// Undo undoes all that the ledger has of an item; nothing where there is no entry.
// It tries once: what is left is the ledger's, which looks again and again. An entry
// that cannot be read is an error, and keeps the others from nothing.
func (l *Ledger) Undo(ctx context.Context, run ivd.RunID, item string) error {
	entries, unread, err := l.of(ctx, ownerKey(run, item))
	if err != nil {
		return err
	}
	return errors.Join(l.unwind(ctx, entries), unread)
}

// unwind undoes the obligations of an item, the newest first, and removes those of
// which nothing can appear any more. Each part is safe to repeat.
func (l *Ledger) unwind(ctx context.Context, entries []*Entry) error {
	w := unwinding{l: l}
	for _, e := range entries {
		if err := w.undo(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// unwinding goes down the obligations of one item.
type unwinding struct {
	l     *Ledger
	found bool      // a newer one had something to undo
	open  time.Time // until when a newer one is kept
}

func (w *unwinding) undo(ctx context.Context, e *Entry) error {
	b, ok := w.l.kinds[e.Kind]
	if !ok {
		return ivd.Errorf(ivd.Unsupported, "the ledger has a %q of %s, which this program cannot undo", e.Kind, e.Item)
	}
	before := e.Undone()
	if !before || b.Looks || w.found {
		found, err := b.Undo(ctx, e.Obligation)
		if err != nil {
			return err
		}
		w.found = w.found || found
	}
	now := w.l.now()
	var err error
	switch {
	case !before && e.Asked:
		e.Until = now.Add(lateTask).UTC()
		err = e.store(ctx)
	case !before && !w.open.IsZero():
		e.Until = w.open
		err = e.store(ctx)
	case !now.Before(e.Until) && w.open.IsZero():
		err = w.l.state.DeleteAt(ctx, e.key(), e.rev)
		e.Until = time.Time{}
	}
	if err != nil {
		return fmt.Errorf("close the ledger entry of %s: %w", e.Item, err)
	}
	if e.Until.After(w.open) {
		w.open = e.Until
	}
	return nil
}
