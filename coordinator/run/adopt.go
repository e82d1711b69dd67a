package run

import (
	"context"
	"fmt"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
)

// beat is what another coordinator's run looked like, and since when, by our clock.
type beat struct {
	count uint64
	since time.Time
}

// adopt takes up the runs that nobody drives: those of this instance's earlier
// start, at once, and those of others whose owner has been silent.
func (s *Service) adopt(ctx context.Context) error {
	runs, err := s.listRuns(ctx)
	if err != nil {
		return err
	}
	for id, r := range runs {
		if r.State.Ended() || s.find(id) != nil {
			delete(s.seen, id)
			continue
		}
		if !s.orphan(r) {
			continue
		}
		if err := s.take(ctx, id); err != nil && ivd.KindOf(err) != ivd.Conflict {
			return fmt.Errorf("take over run %s: %w", id, err)
		}
	}
	return nil
}

// orphan tells whether a run has no owner that lives.
func (s *Service) orphan(r Run) bool {
	if r.Owner == s.Instance {
		return r.OwnerRun != s.start
	}
	b, known := s.seen[r.ID]
	if !known || b.count != r.Beat {
		s.seen[r.ID] = beat{r.Beat, time.Now()}
		return false
	}
	return time.Since(b.since) > silentOwner
}

// take makes the run ours by compare-and-swap. It goes on under a lease of its own;
// the old one is left to expire, since a commit under it may still be on its way
// (COLLECT W7).
func (s *Service) take(ctx context.Context, id ivd.RunID) error {
	r, rev, err := s.getRun(ctx, id)
	if err != nil || r.State.Ended() {
		return err
	}
	lease, err := s.openLease(ctx, r)
	if err != nil {
		return err
	}
	from := r.Owner
	r.Owner, r.OwnerRun, r.Beat = s.Instance, s.start, r.Beat+1
	r.Lease, r.Deadline = lease.ID, lease.Deadline
	rev, err = s.Queue.State().Update(ctx, runKey(id), r, rev)
	if err != nil {
		_ = s.Repo.EndLease(ctx, lease.ID) // nothing was done under it
		return err
	}
	s.Log.Info("run taken up", "run", id, "from", from)
	s.drive(s.newActive(r, rev, lease))
	return nil
}

// openLease opens the lease that a run needs.
func (s *Service) openLease(ctx context.Context, r Run) (repo.Lease, error) {
	kind := repo.WriteLease
	if r.Kind == queue.Restore {
		kind = repo.ReadLease
	}
	return s.Repo.OpenLease(ctx, repo.LeaseSpec{Kind: kind, Owner: s.Instance, Run: r.ID})
}
