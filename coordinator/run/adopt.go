package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// beat is how far somebody's count of beats was, and since when, by our clock.
type beat struct {
	process string // of a mover
	count   uint64
	since   time.Time
}

// adopt takes up the runs that nobody drives: those of this instance's earlier
// start, at once, and those of others whose owner has been silent.
func (s *Service) adopt(ctx context.Context) error {
	runs, err := s.listRuns(ctx)
	if err != nil {
		return err
	}
	for id := range s.seen { // of runs that are gone
		if _, ok := runs[id]; !ok {
			delete(s.seen, id)
		}
	}
	var errs []error
	for id, r := range runs {
		if r.State.Ended() || s.find(id) != nil {
			delete(s.seen, id)
			continue
		}
		if !s.orphan(r) {
			continue
		}
		if err := s.take(ctx, id); err != nil && ivd.KindOf(err) != ivd.Conflict {
			errs = append(errs, fmt.Errorf("take over run %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

// orphan tells whether a run has no owner that lives. Of this start's own runs
// those are left that could not be driven to their end, or whose beginning was
// stored without an answer.
func (s *Service) orphan(r Run) bool {
	if r.Repository != "" && r.Repository != s.Repo.ID() {
		return false
	}
	if r.Owner == s.Instance && r.OwnerRun != s.start {
		return true
	}
	b, known := s.seen[r.ID]
	if !known || b.count != r.Beat {
		s.seen[r.ID] = beat{count: r.Beat, since: s.now()}
		return false
	}
	return s.now().Sub(b.since) > silentOwner
}

// take makes the run ours by compare-and-swap. It goes on under a lease of its own;
// the old one is left to expire, since a commit under it may still be on its way
// (COLLECT W7).
func (s *Service) take(ctx context.Context, id ivd.RunID) error {
	r, rev, err := s.getRun(ctx, id)
	if err != nil || r.State.Ended() {
		return err
	}
	if r.Owner != s.Instance {
		if knows, err := s.knows(ctx, id); err != nil || !knows {
			return err
		}
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
		s.unused(ctx, lease)
		return err
	}
	s.Log.Info("run taken up", "run", id, "from", from)
	a := s.newActive(r, rev, lease)
	a.taken = true
	s.drive(a)
	return nil
}

// knows tells whether every vCenter of a run is in our configuration.
func (s *Service) knows(ctx context.Context, id ivd.RunID) (bool, error) {
	disks, err := s.listDisks(ctx, id)
	if err != nil {
		return false, err
	}
	for _, d := range disks {
		if _, ok := s.VCenters[d.Ref.Source()]; !ok {
			return false, nil
		}
	}
	return true, nil
}

// unused ends a lease under which nothing was done, whether its asker still waits
// or not.
func (s *Service) unused(ctx context.Context, lease repo.Lease) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer stop()
	if err := s.Repo.EndLease(ctx, lease.ID); err != nil {
		s.Log.Warn("end a lease: it will expire", "lease", lease.ID, "err", err)
	}
}

// openLease opens the lease that a run needs.
func (s *Service) openLease(ctx context.Context, r Run) (repo.Lease, error) {
	kind := repo.WriteLease
	if r.Kind == job.Restore {
		kind = repo.ReadLease
	}
	return s.Repo.OpenLease(ctx, repo.LeaseSpec{Kind: kind, Owner: s.Instance, Run: r.ID})
}
