package worker

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"ivdmover/shared/budget"
	"ivdmover/shared/index"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/telemetry"
	"ivdmover/shared/trust"
)

// writers keeps, for each lease that this process works under, a writer with what
// it may build on and what it remembers: all three are the lease's. Half of the dedup memory
// is the sparse index's, which is the process's. Of the other half each new lease
// gets half of what is left, so that all of them stay within it, and
// the lists of what may not be built on count in the memory of the jobs; those that no
// job uses are let go when another lease comes.
type writers struct {
	repository *repo.Repository
	mover      string
	dedup      int64
	unproven   bool // packs of others are built on that nobody has proven
	memory     *budget.Memory
	recheck    time.Duration // within which each pack that is built on is asked for
	log        *slog.Logger
	failing    telemetry.Seldom // that deduplication does without the store

	learning sync.Mutex    // held while it is learnt what others have stored
	sparse   *trust.Sparse // guarded by learning; made with the first lease
	learnt   time.Time     // guarded by learning: when that was, by this host's clock

	mu      sync.Mutex
	open    map[ivd.LeaseID]*leased
	parting []*leased // those of open that were let go, and have hooks that are not stored
}

func newWriters(o Options) *writers {
	return &writers{
		repository: o.Repository, mover: o.Name, dedup: o.DedupMemory, unproven: o.Unproven, memory: o.Memory, recheck: o.Recheck, log: o.Log,
		open: map[ivd.LeaseID]*leased{},
	}
}

type leased struct {
	run    ivd.RunID
	writer *repo.Writer
	trust  *trust.Trust
	index  *index.Index
	dedup  int64
	held   int64 // of the jobs' memory, for the lists
	jobs   []job.Claim
	idle   time.Time // since when there are none
	later  time.Time // until when its hooks are not stored, since that has failed
}

// get opens the lease's writer, or hands out the one that is open. The job that
// asked, which is claimed, calls release when it ends.
func (s *writers) get(ctx context.Context, lease ivd.LeaseID, claim job.Claim) (l *leased, release func(), err error) {
	hooks := s.learn(ctx, lease)
	s.mu.Lock()
	defer s.mu.Unlock()
	l = s.open[lease]
	if l == nil {
		if l, err = s.openLocked(ctx, lease, claim.Run, hooks); err != nil {
			return nil, nil, err
		}
	} else if err := l.trust.Refresh(ctx); err != nil {
		return nil, nil, err
	}
	s.holdLocked(l, l.trust.Size())
	l.jobs = append(l.jobs, claim)
	return l, func() {
		s.mu.Lock()
		l.jobs = slices.DeleteFunc(l.jobs, func(c job.Claim) bool { return c == claim })
		if len(l.jobs) == 0 {
			l.idle = time.Now()
		}
		s.mu.Unlock()
	}, nil
}

// claims are the jobs under way under a lease.
func (s *writers) claims(lease ivd.LeaseID) []job.Claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.open[lease]; l != nil {
		return slices.Clone(l.jobs)
	}
	return nil
}

func (s *writers) openLocked(ctx context.Context, lease ivd.LeaseID, run ivd.RunID, hooks *index.Hooks) (*leased, error) {
	left := s.dedup / 2
	for id, l := range s.open {
		if len(l.jobs) == 0 {
			delete(s.open, id)
			s.holdLocked(l, 0)
			if n, _ := l.writer.Unhooked(); n > 0 {
				l.trust, l.index = nil, nil
				s.parting = append(s.parting, l)
			}
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
	x := index.New(left/2, index.Sparse{Hooks: hooks, Unproven: s.unproven, Failed: s.failed})
	l := &leased{run: run, writer: w, trust: t, index: x, dedup: left / 2}
	s.open[lease] = l
	return l, nil
}

// holdLocked has the lists of a lease take so much of the jobs' memory.
func (s *writers) holdLocked(l *leased, size int64) {
	s.memory.Hold(size - l.held)
	l.held = size
}
