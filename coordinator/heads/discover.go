package heads

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

const (
	// discovered is how long ago a run began whose record may be new: none lasts so long.
	discovered = 35 * 24 * time.Hour
	// ahead is how far another coordinator's clock may be, by which it names its runs.
	ahead   = 2 * 24 * time.Hour
	readers = 8
)

// discover reads the records that were not looked at before, in the order of their
// numbers. Those of which this release knows nothing have no effect.
func (k *Keeper) discover(ctx context.Context) ([]repo.StoredRun, error) {
	now := k.repo.Now()
	var ids []ivd.RunID
	for _, month := range months(now.Add(-discovered), now.Add(ahead)) {
		for id, err := range k.repo.RunsFrom(ctx, month) {
			if err != nil {
				return nil, err
			}
			if !k.seen[id] && !slices.Contains(k.noted.Passed, id) {
				ids = append(ids, id)
			}
		}
	}
	found, err := readAll(ctx, k.repo, ids, func(id ivd.RunID, err error) {
		k.log.Warn("reading the record of a run failed: it is not counted among what was seen", "run", id, "err", err)
	})
	slices.SortFunc(found, func(a, b repo.StoredRun) int {
		return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.ID, b.ID))
	})
	return found, err
}

// months are the beginnings of the ids of runs that began in the months between.
func months(from, to time.Time) (list []string) {
	from = from.UTC()
	for m := time.Date(from.Year(), from.Month(), 1, 0, 0, 0, 0, time.UTC); !m.After(to); m = m.AddDate(0, 1, 0) {
		list = append(list, m.Format("200601"))
	}
	return list
}

// readAll reads records of runs, several at once. What is damaged, or of a later release,
// is told and left out.
func readAll(ctx context.Context, r *repo.Repository, ids []ivd.RunID, odd func(ivd.RunID, error)) ([]repo.StoredRun, error) {
	var mu sync.Mutex
	var found []repo.StoredRun
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for _, id := range ids {
		group.Go(func() error {
			s, err := r.ReadStoredRun(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				found = append(found, s)
			case !s.Sum.IsZero():
				odd(id, err)
			case ivd.KindOf(err) != ivd.NotFound:
				return err
			}
			return nil
		})
	}
	return found, group.Wait()
}

// All are the heads of a repository as it is now: every record of a run is read. Odd is
// told those that cannot be read.
func All(ctx context.Context, r *repo.Repository, odd func(ivd.RunID, error)) (Heads, error) {
	info, err := r.Look(ctx)
	if err != nil {
		return Heads{}, err
	}
	h := Heads{info.ID, r.Domain(), info.Incarnation, info.Generation, r.RingGeneration(), []Head{}}
	var ids []ivd.RunID
	for id, err := range r.Runs(ctx) {
		if err != nil {
			return h, err
		}
		ids = append(ids, id)
	}
	found, err := readAll(ctx, r, ids, odd)
	if err != nil {
		return h, err
	}
	for _, s := range found {
		if last, known := h.of(s.Series()); !known || s.Sequence > last.Sequence {
			h.set(headOf(s))
		}
	}
	slices.SortFunc(h.Heads, func(a, b Head) int {
		return cmp.Or(cmp.Compare(a.Coordinator, b.Coordinator), cmp.Compare(a.Signer.String(), b.Signer.String()))
	})
	return h, nil
}
