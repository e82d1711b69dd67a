package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ivdmover/deploy/stage"
	"ivdmover/shared/soak"
)

// acknowledged is a restore point that a run has reported, and what its disk held.
type acknowledged struct{ point, want string }

// Movers are killed with SIGKILL at random moments of backups. Every run completes,
// every point is identical, and no snapshot stays. Most of the time is waiting, so the
// kills are shared out.
func TestMoversKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			t.Parallel()
			killMovers(t, seed, soak.Times(7))
		})
	}
}

func killMovers(t *testing.T, seed uint64, kills int) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, seed))
	ctx := t.Context()
	s := newStage(t)
	s.Config.AckWait = "2s"
	s.Config.Handles = 1
	disk, err := s.Owner.Create(ctx, "datastore1", "victim", 96)
	must(t, err)
	must(t, s.GuestWrites(ctx, disk, 0, 88<<20, 1))
	flat, err := s.Flat(disk)
	must(t, err)
	coordinator, movers := serve(t, s, "m1")
	mover := movers[0]

	var points []acknowledged
	for killed := 0; killed < kills; {
		must(t, s.GuestWrites(ctx, disk, random.Int64N(56)<<20, 40<<20, 100+killed))
		want := s.Path("want-" + time.Now().Format("150405.000"))
		must(t, stage.Copy(ctx, flat, want))
		id, err := s.Backup(ctx)
		must(t, err)
		for range 1 + random.IntN(3) {
			pause := time.Duration(random.IntN(900)) * time.Millisecond
			if ended(t, s, coordinator, id, pause) {
				break
			}
			mover.Kill()
			killed++
			mover, err = s.StartMover("m1")
			must(t, err)
		}
		r, err := s.Ended(ctx, coordinator, id, limit)
		must(t, err)
		points = append(points, acknowledged{r.Disk("victim").Point, want})
		nothingLeft(t, s)
	}
	for i, p := range points {
		restoreAndCompare(t, s, coordinator, p.point, fmt.Sprint("back-", i), p.want)
	}
}

// ended waits for a while and reports whether the run has ended by then.
func ended(t *testing.T, s *stage.Stage, p *stage.Process, id string, wait time.Duration) bool {
	t.Helper()
	until := time.Now().Add(wait)
	over := false
	err := p.Await(t.Context(), "a moment passes", limit, func() bool {
		var r stage.Run
		over = s.Quietly(t.Context(), &r, "run", "show", id) == nil && r.State != "running"
		return over || time.Now().After(until)
	})
	must(t, err)
	return over
}
