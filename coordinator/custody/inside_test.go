package custody

import (
	"context"
	"fmt"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// What a mover may have of keys is bounded: so many at once, so many a second then, and
// its neighbours do not wait for it.
func TestPace(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := pace{now: func() time.Time { return now }}
	got := 0
	for ; p.wait(cancelled(t), "greedy", 256) == nil; got += 256 {
		if got > 2*burst {
			t.Fatal("there is no end to it")
		}
	}
	if got != burst {
		t.Errorf("%d keys at once, want %d", got, burst)
	}
	for range longestPace/time.Second*keysPerSecond/256 + 1 { // they wait, which this test does not
		_ = p.wait(cancelled(t), "greedy", 256)
	}
	if err := p.wait(t.Context(), "greedy", 256); ivd.KindOf(err) != ivd.Transient {
		t.Errorf("far too many: %v", err)
	}
	if err := p.wait(cancelled(t), "modest", 256); err != nil {
		t.Errorf("another mover: %v", err)
	}
	now = now.Add(time.Hour)
	if err := p.wait(cancelled(t), "greedy", 256); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}

// The sets that are kept of pages stay within their bound, the newest of them.
func TestSetsAreBounded(t *testing.T) {
	t.Parallel()
	var s sets
	key := func(i int) pageKey { return pageKey{"p", ivd.PageIndex(i)} }
	for i := range 40 {
		s.keep(key(i), make(set, maxRefs/16))
		if s.refs > maxRefs || len(s.kept) != len(s.order) {
			t.Fatalf("%d references in %d sets, %d in order", s.refs, len(s.kept), len(s.order))
		}
	}
	if _, ok := s.known(key(39)); !ok || len(s.kept) != 16 {
		t.Errorf("%d sets are kept, the newest: %v", len(s.kept), ok)
	}
	for i := range maxRefs {
		s.keep(key(100+i), nil)
	}
	if len(s.kept) > maxRefs/64 {
		t.Errorf("%d empty sets are kept", len(s.kept))
	}
}

// Counts are bounded, too.
func TestCountsAreBounded(t *testing.T) {
	t.Parallel()
	var g given
	var p pace
	for i := range 2*maxCounted + 1 {
		c := claimOf(i)
		if before, now := g.add(c, 3); before != 0 || now != 3 {
			t.Fatalf("%d, %d", before, now)
		}
		if err := p.wait(cancelled(t), fmt.Sprint(i), 1); err != nil {
			t.Fatal(err)
		}
	}
	if len(g.jobs) > maxCounted || len(p.next) > maxCounted {
		t.Errorf("%d jobs and %d movers are counted", len(g.jobs), len(p.next))
	}
}

// cancelled is a context in which nothing is waited for.
func cancelled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func claimOf(i int) job.Claim { return job.Claim{Job: ivd.JobID(fmt.Sprint(i))} }
