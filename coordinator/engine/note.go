package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ivdmover/coordinator/ledger"
	"ivdmover/coordinator/witness"
	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

// observe has the witness know what this process has just written, before anything
// rests on it: runs of ours that are under way and obligations with their values, items
// with their revisions, and of everything else that it was written.
func (e *Engine) observe(x queue.Entry) {
	n := witness.Entry{Revision: x.Revision}
	removed := len(x.Value) == 0
	switch {
	case strings.HasPrefix(x.Key, ledgerPrefix):
		n.Key, n.Value, n.Gone = x.Key, x.Value, removed
	case strings.HasPrefix(x.Key, itemPrefix):
		n.Key, n.Gone = x.Key, removed
	case strings.HasPrefix(x.Key, runPrefix):
		r, err := readRun(x)
		switch {
		case removed || err == nil && r.State.Ended():
			n.Key, n.Gone = x.Key, true
		case err == nil && r.Owner == e.Instance:
			n.Key, n.Value = x.Key, x.Value
		}
	}
	switch err := e.Witness.Add(n); {
	case err == nil:
	case !e.unnoted.Swap(true):
		e.Log.Warn("noting what is under way failed: what the queue may lose from now on is not noticed", "err", err)
	}
}

// note compares what the witness keeps with what is stored, by whomever: the runs that
// this coordinator owns, and the ledger's entries of them and of what is no run.
func (e *Engine) note(ctx context.Context, runs []Run, obligations []queue.Entry) error {
	if e.Witness == nil {
		return nil
	}
	x, err := e.Queue.State().Extent(ctx)
	if err != nil {
		return err
	}
	t := witness.Testimony{Made: x.Made, Last: x.Last}
	ours, others := map[ivd.RunID]bool{}, map[ivd.RunID]bool{}
	for _, r := range runs {
		if r.Owner != e.Instance {
			others[r.ID] = true
			continue
		}
		if r.State.Ended() {
			continue
		}
		ours[r.ID] = true
		body, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("encode run %s: %w", r.ID, err)
		}
		t.Entries = append(t.Entries, witness.Entry{Key: runKey(r.ID), Value: body})
	}
	for _, o := range obligations {
		if !others[runOf(o.Key, ledgerPrefix)] {
			t.Entries = append(t.Entries, witness.Entry{Key: o.Key, Revision: o.Revision, Value: o.Value})
		}
	}
	items := func(key string) bool { return strings.HasPrefix(key, itemPrefix) && ours[runOf(key, itemPrefix)] }
	if err := e.Witness.Write(t, items); err != nil {
		return err
	}
	e.unnoted.Store(false)
	return nil
}

// noteFirst is the first note of a start: from then on what is written is added to it.
func (e *Engine) noteFirst(ctx context.Context) error {
	runs, err := e.listRuns(ctx)
	if err != nil {
		return err
	}
	obligations, err := e.Queue.State().List(ctx, ledgerPrefix)
	if err != nil {
		return err
	}
	return e.note(ctx, slices.Collect(maps.Values(runs)), obligations)
}

// noteStanding is note of what standing watches have: to list the ledger again and again
// would bring the mark of all that was removed from it in the last hour.
func (e *Engine) noteStanding(ctx context.Context, runs *queue.Mirror[Run], entries *queue.Mirror[ledger.Stored]) error {
	all, err := runs.All(ctx)
	if err != nil {
		return err
	}
	stored, err := entries.All(ctx)
	if err != nil {
		return err
	}
	obligations := make([]queue.Entry, len(stored))
	for i, s := range stored {
		obligations[i] = s.Entry
	}
	return e.note(ctx, all, obligations)
}

// runOf is the run in a key below a prefix.
func runOf(key, prefix string) ivd.RunID {
	id, _, _ := strings.Cut(strings.TrimPrefix(key, prefix), ".")
	return ivd.RunID(id)
}
