package custody

import (
	"context"
	"sync"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
)

const (
	// keysPerSecond is how many keys of packs a mover gets: more than its restores can
	// read, with packs of 16 MiB of which they need a chunk each.
	keysPerSecond = 4096
	// burst is how many it may get at once.
	burst = 4 * keysPerSecond
	// longestPace is how long a question may wait for its turn.
	longestPace = 5 * time.Second
	// maxCounted bounds the movers and jobs that are counted.
	maxCounted = 4096
)

// pace bounds how fast keys are given.
type pace struct {
	now func() time.Time // nil: time.Now

	mu   sync.Mutex
	next map[string]time.Time // guarded by mu: when all that a mover has got is paid for
}

// wait waits until a mover may have so many more keys. Kind Transient: that is too long.
func (p *pace) wait(ctx context.Context, mover string, keys int) error {
	now := time.Now
	if p.now != nil {
		now = p.now
	}
	const ahead = burst * time.Second / keysPerSecond
	p.mu.Lock()
	t := now()
	if p.next == nil || len(p.next) >= maxCounted {
		p.next = map[string]time.Time{}
	}
	at := p.next[mover]
	if earliest := t.Add(-ahead); at.Before(earliest) {
		at = earliest
	}
	at = at.Add(time.Duration(keys) * time.Second / keysPerSecond)
	delay := at.Sub(t)
	if delay <= longestPace {
		p.next[mover] = at
	}
	p.mu.Unlock()
	if delay > longestPace {
		return ivd.Errorf(ivd.Transient, "mover %s has asked for more keys of packs than %d a second", mover, keysPerSecond)
	}
	if delay <= 0 {
		return nil
	}
	return pause.For(ctx, delay)
}

// given counts the keys that each job has got.
type given struct {
	mu   sync.Mutex
	jobs map[job.Claim]int // guarded by mu
}

// add adds to a job's, and tells how many it had and has.
func (g *given) add(c job.Claim, keys int) (before, now int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.jobs == nil || len(g.jobs) >= maxCounted {
		g.jobs = map[job.Claim]int{}
	}
	before = g.jobs[c]
	g.jobs[c] = before + keys
	return before, before + keys
}
