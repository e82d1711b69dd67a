package run

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
// so many of their disks. Their summaries stay in the repository.
const (
	keptRuns  = 300
	keptDisks = 100_000
	// beginning is how long the disks of a run may be there before the run is.
	beginning = time.Hour
)

// prune forgets old runs, and disks whose run was never stored. A run is kept as
// long as the ledger has something of it.
func (s *Service) prune(ctx context.Context) error {
	runs, err := s.listRuns(ctx)
	if err != nil {
		return err
	}
	disks, err := s.count(ctx, "disk.")
	if err != nil {
		return err
	}
	ledger, err := s.count(ctx, "ledger.")
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range old(runs, disks, ledger, keptRuns, keptDisks) {
		errs = append(errs, s.Queue.State().Delete(ctx, runKey(id)), s.forget(ctx, id))
	}
	for id := range disks {
		if _, known := runs[id]; !known && s.began(id).Add(beginning).Before(s.now()) {
			if _, _, err := s.getRun(ctx, id); ivd.KindOf(err) == ivd.NotFound {
				errs = append(errs, s.forget(ctx, id))
			}
		}
	}
	return errors.Join(errs...)
}

// old picks the runs to forget: those that are over, beyond the newest ones.
func old(runs map[ivd.RunID]Run, disks, ledger map[ivd.RunID]int, maxRuns, maxDisks int) []ivd.RunID {
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
		sum += disks[r.ID]
		if i >= maxRuns || i > 0 && sum > maxDisks {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// count counts the keys below a prefix by the run that they name.
func (s *Service) count(ctx context.Context, prefix string) (map[ivd.RunID]int, error) {
	keys, err := s.Queue.State().Keys(ctx, prefix)
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
func (s *Service) forget(ctx context.Context, id ivd.RunID) error {
	return errors.Join(s.Queue.DeleteRun(ctx, id), s.Queue.State().DeletePrefix(ctx, "disk."+string(id)))
}

// began is the time in a run's id; the present where there is none, so that what is
// not understood is kept.
func (s *Service) began(id ivd.RunID) time.Time {
	stamp, _, _ := strings.Cut(string(id), "-")
	t, err := time.Parse("20060102t150405z", stamp)
	if err != nil {
		return s.now()
	}
	return t
}
