package worker

import (
	"context"
	"maps"
	"sync"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// readers keeps the points that this process has opened for reading (COLLECT R1), each
// under the lease of a run and as long as that lasts: the jobs of one restore read what
// is being deleted once between them.
type readers struct {
	repository *repo.Repository

	mu   sync.Mutex
	open map[readKey]opened // guarded by mu
}

type readKey struct {
	lease ivd.LeaseID
	point ivd.PointID
}

type opened struct {
	lease repo.Lease
	point format.Point // zero where this process cannot read points
}

// get opens a point under a lease, or hands out the one that is open. Where this process
// cannot read points the job says what is in it, as far as the job reads it.
func (s *readers) get(ctx context.Context, lease ivd.LeaseID, point ivd.PointID, j *job.Job) (repo.Lease, format.Point, error) {
	told := format.Point{ID: point, Geometry: j.Geometry}
	for _, ref := range j.Restore.Pages {
		if !ref.ID.IsZero() { // else its zeros are to be written
			told.Pages = append(told.Pages, ref)
		}
	}
	reads := s.repository.ReadsPoints()
	switch {
	case lease != "":
	case reads:
		p, err := s.repository.OpenPointWithoutLease(ctx, point)
		return repo.Lease{}, p, err
	default:
		return repo.Lease{}, told, s.repository.StandsWithoutLease(ctx, point)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.repository.Now()
	maps.DeleteFunc(s.open, func(_ readKey, o opened) bool { return !now.Before(o.lease.Deadline) })
	k := readKey{lease, point}
	o, known := s.open[k]
	if !known {
		var err error
		if reads {
			o.lease, o.point, err = s.repository.OpenPoint(ctx, lease, point)
		} else {
			o.lease, err = s.repository.PointStands(ctx, lease, point)
		}
		if err != nil {
			return repo.Lease{}, format.Point{}, err
		}
		s.open[k] = o
	}
	if !reads {
		return o.lease, told, nil
	}
	return o.lease, o.point, nil
}
