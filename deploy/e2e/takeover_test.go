package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"ivdmover/deploy/stage"
)

// A coordinator that is asked to end in the middle of a backup leaves it to its next
// start, and the mover goes on meanwhile.
func TestCoordinatorEndsInOrderInTheMiddle(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := filled(t, s, "disk", 48, 40)
	coordinator, _ := serve(t, s, "m1")
	want := copied(t, s, d, "want")
	fast := slow(t, s)
	id, err := s.Backup(t.Context())
	must(t, err)
	seen(t, s, coordinator, id, "the disk is read", moving("disk"))
	must(t, coordinator.Stop())
	fast()
	coordinator, err = s.StartCoordinator(t.Context())
	must(t, err)
	r, err := s.Ended(t.Context(), coordinator, id, limit)
	must(t, err)
	restoreAndCompare(t, s, coordinator, r.Disk("disk").Point, "back", want)
	nothingLeft(t, s)
}

// Two coordinators on one queue, which is a third process's to one of them: the one
// that has begun a run is killed, and the other finishes it.
func TestRunOfAKilledCoordinatorIsTakenOver(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := filled(t, s, "disk", 64, 60)
	survivor, _ := serve(t, s, "m1")

	other, err := stage.New(t.TempDir(), bin)
	must(t, err)
	other.Lab, other.Config = s.Lab, s.Config
	other.Config.API, other.Config.Queue = "", fmt.Sprintf("url: unix://%s, creds_file: %s", s.Socket(), s.Path("state", "coordinator.creds"))
	must(t, other.WriteConfig())
	t.Cleanup(func() { _ = other.Strike(context.Background()) })
	victim, err := other.StartCoordinator(t.Context())
	must(t, err)

	want := copied(t, s, d, "want")
	fast := slow(t, s)
	id, err := other.Backup(t.Context())
	must(t, err)
	seen(t, other, victim, id, "the disk is read", moving("disk"))
	victim.Kill()
	fast()
	r, err := s.Ended(t.Context(), survivor, id, limit)
	must(t, err)
	restoreAndCompare(t, s, survivor, r.Disk("disk").Point, "back", want)
	must(t, survivor.Await(t.Context(), "nothing is left", time.Minute, func() bool {
		left, err := s.Leftovers(t.Context())
		return err == nil && len(left) == 0
	}))
}
