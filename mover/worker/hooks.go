package worker

import (
	"context"
	"time"

	"ivdmover/shared/index"
	"ivdmover/shared/ivd"
	"ivdmover/shared/telemetry"
	"ivdmover/shared/trust"
)

// Deduplication is best effort: what the store refuses of it, or is too slow for, is
// waited for no longer than this, and then done without.
const (
	learnEvery   = 10 * time.Minute // how old what is known of others' packs may be
	learnTimeout = 30 * time.Second
	// A run's hooks are stored when its jobs have ended here, or when there are many, or the
	// first is so old: a mover that dies takes those with it that are not.
	hooksIdle  = 30 * time.Second
	hooksAge   = 5 * time.Minute
	hooksMany  = 1024 // packs
	hooksAgain = time.Minute
	hooksTime  = time.Minute      // of one try, which limits may make slow
	hooksEnd   = 10 * time.Second // of all tries when the mover ends
)

// learn reads what others have stored, where that is not known under a lease yet, or was
// read a while ago.
func (s *writers) learn(ctx context.Context, lease ivd.LeaseID) *index.Hooks {
	s.learning.Lock()
	defer s.learning.Unlock()
	if s.sparse == nil {
		s.sparse = trust.NewSparse(s.repository, s.dedup/2)
	}
	s.mu.Lock()
	known := s.open[lease] != nil
	s.mu.Unlock()
	if known && time.Since(s.learnt) < learnEvery {
		return s.sparse.Hooks()
	}
	limited, cancel := context.WithTimeout(ctx, learnTimeout)
	defer cancel()
	if err := s.sparse.Refresh(limited); err != nil && ctx.Err() == nil {
		s.failed(err)
	}
	s.learnt = time.Now()
	return s.sparse.Hooks()
}

// failed tells that deduplication does without the store for a while.
func (s *writers) failed(err error) {
	if s.failing.Due() {
		s.log.Warn("what other movers have stored cannot be asked for: backups go on, and store some of it again", telemetry.Err(err))
	}
}

// tend stores hooks when it is time, until the context ends.
func (s *writers) tend(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.putHooks(ctx, false)
		case <-ctx.Done():
			return
		}
	}
}

// end stores the hooks that are left, when all jobs have ended.
func (s *writers) end(ctx context.Context) {
	if ctx.Err() != nil {
		return // it is to end at once
	}
	ctx, cancel := context.WithTimeout(ctx, hooksEnd)
	defer cancel()
	s.putHooks(ctx, true)
}

// putHooks stores the hooks of the leases for which it is time, or of all.
func (s *writers) putHooks(ctx context.Context, all bool) {
	now := time.Now()
	s.mu.Lock()
	due := s.parting // tried once, and let go
	s.parting = nil
	for _, l := range s.open {
		n, since := l.writer.Unhooked()
		idle := len(l.jobs) == 0 && now.Sub(l.idle) >= hooksIdle
		if n > 0 && (all || now.After(l.later) && (idle || n >= hooksMany || now.Sub(since) >= hooksAge)) {
			l.later = now.Add(hooksAgain) // where it fails
			due = append(due, parting{l.writer, l.run})
		}
	}
	s.mu.Unlock()
	for _, p := range due {
		limited, cancel := context.WithTimeout(ctx, hooksTime)
		err := p.writer.PutHooks(limited, p.run)
		cancel()
		if err != nil && s.failing.Due() {
			s.log.Warn("storing hooks failed: other movers will not find some of what this one has stored, and store it again", telemetry.Err(err))
		}
	}
}
