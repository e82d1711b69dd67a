package worker

import (
	"context"
	"maps"
	"sync"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
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
	point format.Point
}

// get opens a point under a lease, or hands out the one that is open.
func (s *readers) get(ctx context.Context, lease ivd.LeaseID, point ivd.PointID) (repo.Lease, format.Point, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.repository.Now()
	maps.DeleteFunc(s.open, func(_ readKey, o opened) bool { return !now.Before(o.lease.Deadline) })
	k := readKey{lease, point}
	if o, ok := s.open[k]; ok {
		return o.lease, o.point, nil
	}
	l, p, err := s.repository.OpenPoint(ctx, lease, point)
	if err == nil {
		s.open[k] = opened{l, p}
	}
	return l, p, err
}
