package worker

import (
	"context"
	"sync"
	"time"

	"ivdmover/shared/budget"
	"ivdmover/shared/index"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/trust"
)

// writers keeps, for each lease that this process works under, a writer with what
// it may build on and what it remembers: all three are the lease's. Each new one
// gets half of the dedup memory that is left, so that all of them stay within it, and
// the lists of what may not be built on count in the memory of the jobs; those that no
// job uses are let go when another lease comes.
type writers struct {
	repository *repo.Repository
	mover      string
	dedup      int64
	memory     *budget.Memory
	recheck    time.Duration // within which each pack that is built on is asked for

	mu   sync.Mutex
	open map[ivd.LeaseID]*leased
}

type leased struct {
	writer *repo.Writer
	trust  *trust.Trust
	index  *index.Index
	dedup  int64
	held   int64 // of the jobs' memory, for the lists
	jobs   int
}

// get opens the lease's writer, or hands out the one that is open. The job that
// asked calls release when it ends.
func (s *writers) get(ctx context.Context, lease ivd.LeaseID) (l *leased, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l = s.open[lease]
	if l == nil {
		if l, err = s.openLocked(ctx, lease); err != nil {
			return nil, nil, err
		}
	} else if err := l.trust.Refresh(ctx); err != nil {
		return nil, nil, err
	}
	s.holdLocked(l, l.trust.Size())
	l.jobs++
	return l, func() {
		s.mu.Lock()
		l.jobs--
		s.mu.Unlock()
	}, nil
}

func (s *writers) openLocked(ctx context.Context, lease ivd.LeaseID) (*leased, error) {
	left := s.dedup
	for id, l := range s.open {
		if l.jobs == 0 {
			delete(s.open, id)
			s.holdLocked(l, 0)
			continue
		}
		left -= l.dedup
	}
	t, err := trust.Open(ctx, s.repository, lease, s.recheck)
	if err != nil {
		return nil, err
	}
	w, err := s.repository.NewWriter(t.Lease(), ivd.NewWriterID(), s.mover)
	if err != nil {
		return nil, err
	}
	l := &leased{writer: w, trust: t, index: index.New(left / 2), dedup: left / 2}
	s.open[lease] = l
	return l, nil
}

// holdLocked has the lists of a lease take so much of the jobs' memory.
func (s *writers) holdLocked(l *leased, size int64) {
	s.memory.Hold(size - l.held)
	l.held = size
}
