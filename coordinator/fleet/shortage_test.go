package fleet_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/fleet"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
)

// Why no mover takes jobs: there is none, one has left or fallen silent, or those that
// there are take nothing new.
func TestShortage(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	c := b.Coordinator("one")
	until := func(want string) {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		for got := "?"; got == "?" || !strings.HasPrefix(got, want) || want == "" && got != ""; { // a heartbeat is seen a moment after it is stored
			why, err := c.Fleet.Shortage(ctx, job.Backup)
			b.Must(err)
			if got = ""; why != nil {
				got = why.Error()
				if ivd.RemedyOf(why) == "" {
					t.Error("no remedy")
				}
			}
			if pause.For(ctx, time.Millisecond) != nil {
				t.Fatalf("it says %q, want %q", got, want)
			}
		}
	}
	beat := func(m job.Mover) {
		m.Version, m.Name, m.Host, m.Process = job.Version, "m", "h", "x"
		b.Must(b.Queue.Beat(t.Context(), m))
	}
	until("no mover takes jobs: 0 are connected")
	beat(job.Mover{Ended: "no library; unpack it"})
	const ended = "no mover takes jobs: 0 are connected; mover m on host h has ended: no library; unpack it"
	until(ended)
	movers, err := c.Fleet.Movers(t.Context())
	if n, e := c.Fleet.Handles(t.Context(), job.Backup); err != nil || len(movers) != 0 || n != 0 || e != nil {
		t.Errorf("%v, %d handles, %v, %v", movers, n, err, e)
	}
	c.Clock.Advance(fleet.SilentMover + time.Second)
	until(ended)
	b.Must(b.Queue.Leave(t.Context(), "m")) // as it is forgotten
	until(ended)
	beat(job.Mover{Beat: 1, Handles: 8})
	until("")
	c.Clock.Advance(fleet.SilentMover + time.Second)
	until("no mover takes jobs: 0 are connected; mover m on host h has fallen silent")
	beat(job.Mover{Beat: 2, Handles: 8, Draining: true})
	until("no mover takes jobs: 1 are connected; mover m on host h finishes what it has")
	beat(job.Mover{Beat: 3})
	until("no mover takes jobs: 1 are connected; mover m on host h can open no disk")
	beat(job.Mover{Beat: 3, Handles: 8, Draining: true, Hangs: true})
	until("no mover takes jobs: 1 are connected; mover m on host h hangs in opening a disk")
	b.Must(b.Queue.Leave(t.Context(), "m"))
	until("no mover takes jobs: 0 are connected; mover m on host h ended at ")
	beat(job.Mover{Beat: 4, Handles: 8})
	until("")
	c.Clock.Advance(fleet.SilentMover + time.Second)
	b.Must(b.Queue.Leave(t.Context(), "m")) // as its heartbeat is forgotten
	until("no mover takes jobs: 0 are connected; mover m on host h fell silent at ")
}

// A mover that only reads takes no restores; jobs of other kinds it takes.
func TestShortageOfMoversThatWrite(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	f := b.Coordinator("one").Fleet
	beat := func(name, cannot string) {
		b.Must(b.Queue.Beat(t.Context(), job.Mover{Version: job.Version, Name: name, Host: "h", Process: "x", Handles: 2, NoRestore: cannot}))
	}
	until := func(k job.Kind, disks int, want string) {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		for {
			why, err := f.Shortage(ctx, k)
			b.Must(err)
			got := ""
			if why != nil {
				got = why.Error() + "; " + ivd.RemedyOf(why)
			}
			n, err := f.Handles(ctx, k)
			b.Must(err)
			if n == disks && (got == want || want != "" && strings.Contains(got, want)) {
				return
			}
			if pause.For(ctx, time.Millisecond) != nil {
				t.Fatalf("%s: %d disks, %q; want %d, %q", k, n, got, disks, want)
			}
		}
	}
	beat("m", "VDDK 9 has no VixDiskLib_Flush")
	until(job.Backup, 2, "")
	until(job.Restore, 0, "no mover takes restores: 1 are connected; mover m on host h cannot write: VDDK 9 has no VixDiskLib_Flush; start a mover whose VDDK can write")
	beat("n", "")
	until(job.Restore, 2, "")
	until(job.Backup, 4, "")
}
