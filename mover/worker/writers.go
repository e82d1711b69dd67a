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
// it may build on and what it remembers. The first two are the lease's; what is
// remembered is the run's, as long as W3 lets it count: what the lists of the lease name is
// left out where it is used (trust.Barred). Half of the dedup memory
// is the sparse index's, which is the process's. Of the other half each new run
// gets half of what is left, so that all of them stay within it, and
// the lists of what may not be built on count in the memory of the jobs; those that no
// job uses are let go when another lease comes.
type writers struct {
	repository *repo.Repository
	mover      string
	dedup      int64
	unproven   bool // packs of others are built on that nobody has proven
	checks     int
	memory     *budget.Memory
	recheck    time.Duration // within which each pack that is built on is asked for
	log        *slog.Logger
	failing    telemetry.Seldom // that deduplication does without the store

	learning sync.Mutex    // held while it is learnt what others have stored
	sparse   *trust.Sparse // guarded by learning; made with the first lease
	learnt   time.Time     // guarded by learning: when that was, by this host's clock

	mu      sync.Mutex
	open    map[ivd.LeaseID]*leased
	parting []parting
}

func newWriters(o Options) *writers {
	return &writers{
		repository: o.Repository, mover: o.Name, dedup: o.DedupMemory, unproven: o.Unproven, checks: o.Checks, memory: o.Memory, recheck: o.Recheck, log: o.Log,
		open: map[ivd.LeaseID]*leased{},
	}
}

type leased struct {
	*remembered
	writer *repo.Writer
	trust  *trust.Trust
	held   int64 // of the jobs' memory, for the lists
	jobs   []job.Claim
	idle   time.Time // since when there are none
	later  time.Time // until when its hooks are not stored, since that has failed
}

// remembered is what the process knows of contents during a run.
type remembered struct {
	run         ivd.RunID
	incarnation ivd.IncarnationID
	since       time.Time // by the store's clock: all of it was stored or seen later
	index       *index.Index
	bytes       int64
}

// parting is a writer that was let go, and has hooks that are not stored.
type parting struct {
	writer *repo.Writer
	run    ivd.RunID
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
	t, err := trust.Open(ctx, s.repository, lease, s.recheck)
	if err != nil {
		return nil, err
	}
	w, err := s.repository.NewWriter(t.Lease(), ivd.NewWriterID(), s.mover)
	if err != nil {
		return nil, err
	}
	w.Checks = s.checks
	m := s.rememberedLocked(run, t.Lease())
	s.letGoLocked()
	if m == nil {
		n := s.leftLocked() / 2
		m = &remembered{
			run: run, incarnation: t.Lease().Incarnation, since: s.repository.Now(), bytes: n,
			index: index.New(n, index.Sparse{Hooks: hooks, Unproven: s.unproven, Failed: s.failed}),
		}
	}
	l := &leased{writer: w, trust: t, remembered: m}
	s.open[lease] = l
	return l, nil
}

// rememberedFor is how old what is remembered may be, by the store's clock, when a lease is
// opened: it is used for the lease's life, two days at most, and counts for 7 days (W3).
const rememberedFor = 4 * 24 * time.Hour

// rememberedLocked is what the process remembers of a run that goes on under another lease.
func (s *writers) rememberedLocked(run ivd.RunID, lease repo.Lease) *remembered {
	for _, l := range s.open {
		if m := l.remembered; m.run == run && m.incarnation == lease.Incarnation && s.repository.Now().Sub(m.since) < rememberedFor {
			return m
		}
	}
	return nil
}

// letGoLocked lets go what no job uses.
func (s *writers) letGoLocked() {
	for id, l := range s.open {
		if len(l.jobs) > 0 {
			continue
		}
		delete(s.open, id)
		s.holdLocked(l, 0)
		if n, _ := l.writer.Unhooked(); n > 0 {
			s.parting = append(s.parting, parting{l.writer, l.run})
		}
	}
}

// leftLocked is what is left of the memory for what is remembered.
func (s *writers) leftLocked() int64 {
	left, seen := s.dedup/2, map[*remembered]bool{}
	for _, l := range s.open {
		if !seen[l.remembered] {
			seen[l.remembered] = true
			left -= l.bytes
		}
	}
	return left
}

// holdLocked has the lists of a lease take so much of the jobs' memory.
func (s *writers) holdLocked(l *leased, size int64) {
	s.memory.Hold(size - l.held)
	l.held = size
}
