package run

import (
	"context"
	"sync"
	"time"

	"ivdmover/shared/job"
	"ivdmover/shared/pause"
)

// watchOver looks at regular intervals, until ctx ends, for what nobody drives, and
// keeps admission informed. Each look has its own pace: none waits for another.
func (s *Service) watchOver(ctx context.Context) {
	var looks sync.WaitGroup
	for _, l := range []struct {
		what         string
		first, every time.Duration
		look         func(context.Context) error
	}{
		{"count the movers", 0, countEvery, s.countFleet},
		{"look for runs that nobody drives", 0, lookEvery, s.adopt},
		{"look for what ended runs have left", 0, lookEvery, s.settleLedger},
		{"look for snapshots that came late", sweepFirst, sweepEvery, s.sweep},
		{"look for disks that came late", sweepFirst, sweepEvery, s.sweepMade},
		{"forget old runs", sweepFirst, sweepEvery, s.prune},
	} {
		looks.Go(func() {
			for wait := l.first; pause.For(ctx, wait) == nil; wait = s.pace(l.every) {
				if err := l.look(ctx); err != nil && ctx.Err() == nil {
					s.Log.Warn(l.what, "err", err)
				}
			}
		})
	}
	looks.Wait()
	s.settling.group.Wait()
}

// pace is how long to wait for the next look: less while disks wait for the first
// mover to be seen.
func (s *Service) pace(every time.Duration) time.Duration {
	if every == countEvery && s.gate.stalled() {
		return countEvery / 10
	}
	return every
}

// countFleet tells admission how many disks the movers can hold. One that has
// fallen silent counts no more, although its last heartbeat is still there.
func (s *Service) countFleet(ctx context.Context) error {
	movers, err := s.Queue.Movers(ctx)
	if err != nil {
		return err
	}
	now, seen := s.now(), make(map[string]beat, len(movers))
	handles := 0
	for _, m := range movers {
		b, known := s.fleet[m.Name]
		if !known || b.process != m.Process || b.count != m.Beat {
			b = beat{process: m.Process, count: m.Beat, since: now}
		}
		seen[m.Name] = b
		if counts(m) && now.Sub(b.since) <= silentMover {
			handles += m.Handles
		}
	}
	s.fleet = seen
	s.gate.setFleet(handles)
	return nil
}

func counts(m job.Mover) bool { return !m.Draining }
