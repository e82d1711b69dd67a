package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"ivdmover/shared/ivd"
)

// What is kept in the bucket of runs that are over: the newest, so many of them and
// so many of their items. Their summaries stay in the repository.
const (
	keptRuns  = 300
	keptItems = 100_000
	// beginning is how long the items of a run may be there before the run is.
	beginning = time.Hour
)

// prune forgets old runs, and items whose run was never stored. A run is kept as
// long as the ledger has something of it.
func (e *Engine) prune(ctx context.Context) error {
	runs, err := e.listRuns(ctx)
	if err != nil {
		return err
	}
	items, err := e.count(ctx, "item.")
	if err != nil {
		return err
	}
	ledger, err := e.Ledger.Count(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range old(runs, items, ledger, keptRuns, keptItems) {
		errs = append(errs, e.Queue.State().Delete(ctx, runKey(id)), e.forget(ctx, id))
	}
	for id := range items {
		if _, known := runs[id]; !known && e.began(id).Add(beginning).Before(e.Now()) {
			if _, _, err := e.getRun(ctx, id); ivd.KindOf(err) == ivd.NotFound {
				errs = append(errs, e.forget(ctx, id))
			}
		}
	}
	return errors.Join(errs...)
}

// old picks the runs to forget: those that are over, beyond the newest ones.
func old(runs map[ivd.RunID]Run, items, ledger map[ivd.RunID]int, maxRuns, maxItems int) []ivd.RunID {
	var over []Run
	for _, r := range runs {
		if r.State.Ended() && ledger[r.ID] == 0 {
			over = append(over, r)
		}
	}
	slices.SortFunc(over, func(a, b Run) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(string(b.ID), string(a.ID)))
	})
	var ids []ivd.RunID
	sum := 0
	for i, r := range over {
		sum += items[r.ID]
		if i >= maxRuns || i > 0 && sum > maxItems {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// count counts the keys below a prefix by the run that they name.
func (e *Engine) count(ctx context.Context, prefix string) (map[ivd.RunID]int, error) {
	keys, err := e.Queue.State().Keys(ctx, prefix)
	if err != nil {
		return nil, err
	}
	counts := map[ivd.RunID]int{}
	for _, k := range keys {
		id, _, _ := strings.Cut(strings.TrimPrefix(k, prefix), ".")
		counts[ivd.RunID(id)]++
	}
	return counts, nil
}

// forget removes what belongs to a run beside its own record.
func (e *Engine) forget(ctx context.Context, id ivd.RunID) error {
	state := e.Queue.State()
	return errors.Join(e.Queue.DeleteRun(ctx, id), state.DeletePrefix(ctx, "plan."+string(id)), state.DeletePrefix(ctx, "item."+string(id)))
}

// began is the time in a run's id; the present where there is none, so that what is
// not understood is kept.
func (e *Engine) began(id ivd.RunID) time.Time {
	stamp, _, _ := strings.Cut(string(id), "-")
	t, err := time.Parse("20060102t150405z", stamp)
	if err != nil {
		return e.Now()
	}
	return t
}
