package worker

import (
	"context"
	"sync"

	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// writers keeps one writer for each lease that this process works under, since
// what a writer trusts and remembers is its lease's. Each new one gets half of the
// dedup memory that is left, so that all of them stay within it; those that no job
// uses are let go when another lease comes.
type writers struct {
	repository *repo.Repository
	mover      string
	memory     int64

	mu   sync.Mutex
	open map[ivd.LeaseID]*leased
}

type leased struct {
	*repo.Writer
	memory int64
	jobs   int
}

// get opens the lease's writer, or hands out the one that is open. The job that
// asked calls release when it ends.
func (s *writers) get(ctx context.Context, lease ivd.LeaseID) (w *repo.Writer, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.open[lease]
	if l == nil {
		if l, err = s.openLocked(ctx, lease); err != nil {
			return nil, nil, err
		}
	}
	l.jobs++
	return l.Writer, func() {
		s.mu.Lock()
		l.jobs--
		s.mu.Unlock()
	}, nil
}

func (s *writers) openLocked(ctx context.Context, lease ivd.LeaseID) (*leased, error) {
	left := s.memory
	for id, l := range s.open {
		if l.jobs == 0 {
			delete(s.open, id)
			continue
		}
		left -= l.memory
	}
	l := &leased{memory: left / 2}
	var err error
	l.Writer, err = s.repository.OpenWriter(ctx, repo.WriterOptions{
		Lease: lease, Writer: ivd.NewWriterID(), Mover: s.mover, DedupMemory: l.memory,
	})
	if err != nil {
		return nil, err
	}
	s.open[lease] = l
	return l, nil
}
