package run

import (
	"context"
	"fmt"
	"sync"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

// settleAtOnce bounds how many ledger entries are undone at once: to delete a
// snapshot may take hours, and must not keep the others waiting.
const settleAtOnce = 8

// settling is what is known of the entries that ended runs have left, by key.
type settling struct {
	slots chan struct{}
	group sync.WaitGroup

	mu      sync.Mutex
	entries map[string]*leftover // guarded by mu
}

// leftover is one entry: when it is tried again, and whether that is under way.
type leftover struct {
	tries int
	at    time.Time
	busy  bool
}

func newSettling() *settling {
	return &settling{slots: make(chan struct{}, settleAtOnce), entries: map[string]*leftover{}}
}

// settleLedger begins to undo what ended runs have left to do, each entry by
// itself, and with growing pauses where it fails.
func (s *Service) settleLedger(ctx context.Context) error {
	keys, err := s.Queue.State().Keys(ctx, "ledger.")
	if err != nil {
		return fmt.Errorf("list the ledger: %w", err)
	}
	for _, k := range s.settling.due(keys, s.now()) {
		s.settling.group.Go(func() {
			select {
			case s.settling.slots <- struct{}{}:
				defer func() { <-s.settling.slots }()
			case <-ctx.Done():
				return
			}
			left, err := s.settleEntry(ctx, k)
			if err != nil && ctx.Err() == nil {
				s.Log.Warn("clean up after a run that is over; it is tried again", "entry", k, "err", err)
			}
			s.settling.did(k, left, s.now())
		})
	}
	return nil
}

// due picks the entries whose time has come, and forgets those that are gone.
func (g *settling) due(keys []string, now time.Time) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.entries
	g.entries = make(map[string]*leftover, len(keys))
	var due []string
	for _, k := range keys {
		l := known[k]
		if l == nil {
			l = &leftover{at: now}
		}
		g.entries[k] = l
		if !l.busy && !now.Before(l.at) {
			l.busy = true
			due = append(due, k)
		}
	}
	return due
}

// did notes a try. What is left is tried again after a while, which grows.
func (g *settling) did(key string, left bool, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.entries[key]
	if l == nil {
		return
	}
	l.busy = false
	if left {
		l.tries++
		l.at = now.Add(stepping.After(l.tries))
	}
}

// settleEntry undoes one entry, unless its disk's driver will. It tells whether
// there was something to undo.
func (s *Service) settleEntry(ctx context.Context, key string) (left bool, err error) {
	l, rev, err := queue.Get[Ledger](ctx, s.Queue.State(), key)
	if ivd.KindOf(err) == ivd.NotFound {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	over, asked, err := s.left(ctx, l)
	if err != nil || !over {
		return err != nil, err
	}
	return true, s.undo(ctx, l, rev, asked)
}

// left tells whether an entry is left for us, and whether what vSphere was asked to
// make for it may still appear.
func (s *Service) left(ctx context.Context, l Ledger) (over, asked bool, err error) {
	if l.Examiner != nil {
		over, err = s.examined(ctx, l)
		return over, l.Snapshot == "", err
	}
	r, _, err := s.getRun(ctx, l.Run)
	if err != nil && ivd.KindOf(err) != ivd.NotFound {
		return false, false, err
	}
	if err == nil && !r.State.Ended() && !s.ended(ctx, l) {
		return false, false, nil
	}
	d, _, err := s.getDisk(ctx, l.Run, l.Key)
	if err != nil && ivd.KindOf(err) != ivd.NotFound {
		return false, false, err
	}
	return true, l.Kind == job.Backup && d.Snapshot == "" || l.Kind == job.Restore && d.Ref.ID() == "", nil
}

// ended tells whether the entry's disk has ended, its run or not.
func (s *Service) ended(ctx context.Context, l Ledger) bool {
	d, _, err := s.getDisk(ctx, l.Run, l.Key)
	return err == nil && d.Step == Ended
}
