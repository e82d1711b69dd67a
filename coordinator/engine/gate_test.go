package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"ivdmover/coordinator/admit"
	"ivdmover/shared/ivd"
)

func want(ds, disk string) admit.Want {
	return admit.Want{Tokens: admit.OfDisk(ivd.NewDiskRef("lab", ivd.DatastoreID(ds), ivd.DiskID(disk)), "")}
}

// entry is somebody at the gate.
type entry struct {
	in    chan struct{} // closed once let in
	leave func()
	waits string // for what, as it was told last
	err   error
}

func enter(ctx context.Context, g *gate, w admit.Want) *entry {
	e := &entry{in: make(chan struct{})}
	go func() {
		if e.leave, e.err = g.enter(ctx, w, func(why string) { e.waits = why }); e.err == nil {
			close(e.in)
		}
	}()
	synctest.Wait()
	return e
}

func (e *entry) inside() bool {
	synctest.Wait()
	select {
	case <-e.in:
		return true
	default:
		return false
	}
}

// Who waits is told for what, whenever that changes.
func TestGateTellsForWhatItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(admit.Limits{Datastore: map[ivd.SourceID]int{"lab": 1}})
		ctx, end := context.WithCancel(t.Context())
		a, b, same, c := enter(ctx, g, want("ds", "a")), enter(ctx, g, want("ds", "b")), enter(ctx, g, want("other", "a")), enter(ctx, g, want("third", "c"))
		says := func(what string, want ...string) {
			t.Helper()
			synctest.Wait()
			for i, e := range []*entry{a, b, same, c} {
				if e.waits != want[i] {
					t.Errorf("%s: %d waits for %q, want %q", what, i, e.waits, want[i])
				}
			}
		}
		says("without movers", "a mover", "a mover", "a mover", "a mover")
		const full = "datastore ds: 1 of its disks at a time (limits.datastore_handles)"
		g.setFleet(1, 1)
		says("with few movers", "", full, "the disk: another run works on it", "")
		d := enter(ctx, g, want("fourth", "d"))
		if synctest.Wait(); d.waits != "the movers: 2 disks at a time" {
			t.Errorf("it waits for %q", d.waits)
		}
		a.leave()
		says("when one has left", "", "the movers: 2 disks at a time", "", "")
		end()
		says("when nobody waits any more", "", "", "", "")
	})
}

func TestGateLetsInAsManyAsTheMoversHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(admit.Limits{})
		ctx, end := context.WithCancel(t.Context())
		var all []*entry
		for i := range 6 {
			all = append(all, enter(ctx, g, want("ds", fmt.Sprint(i))))
		}
		count := func() (n int) {
			for _, e := range all {
				if e.inside() {
					n++
				}
			}
			return n
		}
		if n := count(); n != 0 || !g.stalled() {
			t.Errorf("%d are in without a mover, stalled: %v", n, g.stalled())
		}
		g.setFleet(2, 2)
		if g.stalled() {
			t.Error("stalled with movers")
		}
		if n := count(); n != admit.Fleet(2) {
			t.Errorf("%d are in, want %d", n, admit.Fleet(2))
		}
		all[0].leave()
		if n := count(); n != admit.Fleet(2)+1 {
			t.Errorf("after one left %d came in, want one more than %d", n, admit.Fleet(2))
		}
		g.setFleet(0, 0)
		all[1].leave()
		if n := count(); n != admit.Fleet(2)+1 {
			t.Errorf("without movers %d came in", n)
		}
		end()
		synctest.Wait()
		if err := all[5].err; !errors.Is(err, context.Canceled) {
			t.Errorf("who waited in vain: %v", err)
		}
		if len(g.waiting) != 0 || len(g.inside) != admit.Fleet(2)-1 {
			t.Errorf("%d wait, %d hold", len(g.waiting), len(g.inside))
		}
	})
}

// A disk of two runs is held by one at a time; who gave up while waiting holds
// nobody up.
func TestGateHoldsADiskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(admit.Limits{})
		g.setFleet(10, 10)
		first := enter(t.Context(), g, want("ds", "a"))
		ctx, giveUp := context.WithCancel(t.Context())
		second := enter(ctx, g, want("ds", "a"))
		third := enter(t.Context(), g, want("ds", "a"))
		if !first.inside() || second.inside() || third.inside() {
			t.Fatal("want the first in, and no other")
		}
		giveUp()
		first.leave()
		if !third.inside() || second.inside() {
			t.Error("want the third in: the second gave up")
		}
		third.leave()
		if len(g.inside) != 0 || len(g.served) != 0 {
			t.Errorf("an idle gate remembers %d and %d", len(g.inside), len(g.served))
		}
	})
}

// Who waits last is let in all the same, and a gate that is never idle does not
// remember all that passed.
func TestGateForgetsWhoPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(admit.Limits{})
		g.setFleet(1, 1)
		stays := enter(t.Context(), g, want("ds", "stays"))
		for i := range 5000 {
			leave, err := g.enter(t.Context(), want(fmt.Sprint("ds", i%3), fmt.Sprint(i)), func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			leave()
		}
		if len(g.inside) != 1 || len(g.served) != 3 {
			t.Errorf("%d are remembered as in, and those of %d datastores as served", len(g.inside), len(g.served))
		}
		if stays.leave(); len(g.inside) != 0 {
			t.Errorf("%d hold", len(g.inside))
		}
	})
}

// The limits of a source count from when they are said.
func TestGateKeepsToALimitThatIsSaidLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(admit.Limits{})
		g.setFleet(8, 8)
		g.limit("lab", 1, 1)
		first, second := enter(t.Context(), g, want("ds", "one")), enter(t.Context(), g, want("ds", "two"))
		if first.inside() == second.inside() {
			t.Fatal("the datastore's limit is one disk")
		}
		g.limit("lab", 2, 2)
		if !first.inside() || !second.inside() {
			t.Error("both may be in now")
		}
		first.leave()
		second.leave()
	})
}
