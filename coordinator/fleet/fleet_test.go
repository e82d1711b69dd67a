package fleet_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/fleet"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
)

// Each question goes to the mover with the most room, and to the next where that
// one is gone or could not; what fails for good is not asked of all, but for what
// another mover's library may have.
func TestAsk(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	s := b.Coordinator("one").Fleet
	q := job.Request{Op: job.PrepareAccess, Run: "r", Disk: job.IVD(ivd.NewDiskRef("lab", "", "11111111-1111-4111-8111-111111111111"))}
	if _, err := s.Ask(t.Context(), q); ivd.KindOf(err) != ivd.Transient {
		t.Errorf("without movers: %v", err)
	}
	b.Must(b.Queue.Beat(t.Context(), job.Mover{Version: job.Version, Name: "gone", Process: "x", Beat: 1, Handles: 9, Free: 9}))
	var asked atomic.Int64
	var kind ivd.Kind
	for i := range 5 {
		b.Mover(fmt.Sprintf("m%d", i)).Set(func(p *coordtest.Puppet) {
			p.Answer = func(job.Request) error {
				if n := asked.Add(1); kind == ivd.Transient && n == 2 {
					return nil
				}
				return ivd.Errorf(kind, "no")
			}
		})
	}
	for _, c := range []struct {
		kind  ivd.Kind
		asked int64
		fails bool
	}{{ivd.Transient, 2, false}, {ivd.Locked, 2, true}, {ivd.Denied, 1, true}, {ivd.Unsupported, 5, true}} {
		asked.Store(0)
		kind = c.kind
		if _, err := s.Ask(t.Context(), q); (err != nil) != c.fails || asked.Load() != c.asked {
			t.Errorf("%s: %d were asked, %v", c.kind, asked.Load(), err)
		}
	}
}

// A mover that has fallen silent counts no more, long before its heartbeat goes.
func TestSilentMoverDoesNotCount(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	c := b.Coordinator("one")
	handles := func(want int) {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		for n := -1; n != want; { // a heartbeat is seen a moment after it is stored
			var err error
			n, err = c.Fleet.Handles(ctx, job.Backup)
			b.Must(err)
			b.Must(pause.For(ctx, time.Millisecond))
		}
	}
	beat := func(n uint64, draining bool) {
		b.Must(b.Queue.Beat(t.Context(), job.Mover{Version: job.Version, Name: "m", Process: "x", Beat: n, Handles: 8, Free: 8, Draining: draining}))
	}
	beat(1, false)
	handles(8)
	c.Clock.Advance(fleet.SilentMover + time.Second)
	handles(0) // with a silent mover
	beat(2, false)
	handles(8) // after its return
	beat(3, true)
	handles(0) // with a mover that takes nothing new
}

// Whether a mover holds a disk is asked of what it says now.
func TestHolds(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	c := b.Coordinator("one")
	f := c.Fleet
	beat := func(active ...job.Active) {
		b.Must(b.Queue.Beat(t.Context(), job.Mover{Version: job.Version, Name: "m", Process: "x", Handles: 8, Active: active}))
		c.Clock.Advance(time.Second)
	}
	beat(job.Active{Run: "r", Disk: "a"})
	for _, x := range []struct {
		run  ivd.RunID
		disk ivd.DiskID
		want bool
	}{{"r", "a", true}, {"r", "b", false}, {"s", "a", false}} {
		if held, err := f.Holds(t.Context(), x.run, x.disk); err != nil || held != x.want {
			t.Errorf("%s of %s: %v, %v", x.disk, x.run, held, err)
		}
	}
	beat()
	if held, err := f.Holds(t.Context(), "r", "a"); err != nil || held {
		t.Errorf("when it was closed: %v, %v", held, err)
	}
}

// Asking how many disks the movers can hold, as admission does each second, asks the
// queue's server for nothing: one watch stands, and tells what is new.
func TestHandlesAskTheServerOnce(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	f := b.Coordinator("one").Fleet
	ask := func() {
		_, err := f.Handles(t.Context(), job.Backup)
		b.Must(err)
		_, err = f.Movers(t.Context())
		b.Must(err)
	}
	ask()
	if n := b.Messages(func() {
		for range 100 {
			ask()
		}
	}); n > 20 { // the watch's own heartbeat, a ping: none for each question
		t.Errorf("100 questions cost %d messages", n)
	}
}
