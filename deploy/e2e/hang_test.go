package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/script"
	"ivdmover/deploy/stage"
)

// happened waits until a call that is counted for all processes was made so often.
func happened(t *testing.T, s *stage.Stage, p *stage.Process, n int) {
	t.Helper()
	must(t, p.Await(t.Context(), fmt.Sprintf("%d calls", n), limit, func() bool {
		counts, err := filepath.Glob(s.Path("lab", "faults.count", "*"))
		if err != nil || len(counts) != 1 {
			return false
		}
		text, err := os.ReadFile(counts[0])
		if err != nil {
			return false
		}
		made, err := strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil && made >= n
	}))
}

func said(t *testing.T, s *stage.Stage, p *stage.Process, what string) {
	t.Helper()
	must(t, p.Await(t.Context(), what, limit, func() bool {
		log, err := os.ReadFile(s.Path("logs", p.Name+".log"))
		return err == nil && strings.Contains(string(log), what)
	}))
}

// A child that is there and does nothing is replaced, and its job is done.
func TestAStoppedChildIsReplaced(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	ctx := t.Context()
	s.Config.AckWait = "2s"
	disk, err := s.Owner.Create(ctx, "datastore1", "data", 32)
	must(t, err)
	must(t, s.GuestWrites(ctx, disk, 0, 20<<20, 5))
	flat, err := s.Flat(disk)
	must(t, err)
	coordinator, movers := serve(t, s, "m1")
	must(t, script.WriteFaults(s.Path("lab"), script.Fault{Call: "ReadAsync", Nth: 3, Shared: true, Do: "delay:2s"}))
	run, err := s.Backup(ctx)
	must(t, err)
	happened(t, s, coordinator, 3)
	must(t, syscall.Kill(childOf(t, movers[0]), syscall.SIGSTOP))
	r, err := s.Ended(ctx, coordinator, run, limit)
	must(t, err)
	said(t, s, movers[0], "gives no sign of life")
	nothingLeft(t, s)
	restoreAndCompare(t, s, coordinator, r.Disk("data").Point, "data-back", flat)
}

// A hung Open holds up no other disk: a second child does what waits, until the first
// has ended; also where the queue's server gives a mover no rights but the documented.
func TestAHungOpenHoldsUpNoOtherDisk(t *testing.T) {
	t.Parallel()
	t.Run("embedded queue", func(t *testing.T) {
		t.Parallel()
		hungOpen(t, newStage(t), func(string) {})
	})
	t.Run("NATS with the documented accounts", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		hungOpen(t, s, natsServer(t, s))
	})
}

func hungOpen(t *testing.T, s *stage.Stage, as func(user string)) {
	t.Helper()
	ctx := t.Context()
	s.Config.AckWait, s.Config.Handles, s.Config.Memory = "2s", 3, "160MiB"
	for n := range 3 {
		_, err := s.Owner.Create(ctx, "datastore1", fmt.Sprintf("data-%d", n), 8)
		must(t, err)
	}
	as("coordinator")
	coordinator, _ := serve(t, s)
	as("mover")
	must(t, s.WriteConfig())
	mover, err := s.StartMover("proxy-1") // as the documents call it
	must(t, err)
	must(t, s.AwaitMovers(ctx, coordinator, 1))
	must(t, script.WriteFaults(s.Path("lab"), script.Fault{Call: "Open", Mode: "nbdssl", Shared: true, Do: script.Hang}))
	run, err := s.Backup(ctx)
	must(t, err)
	happened(t, s, coordinator, 1)
	first := childOf(t, mover)
	said(t, s, mover, "another one takes over what it has not begun")
	said(t, s, mover, "mover=proxy-1/2")
	// All that the first does not hold is done, while its call still hangs.
	said(t, s, mover, "job done")
	must(t, syscall.Kill(first, syscall.SIGKILL))
	_, err = s.Ended(ctx, coordinator, run, limit)
	must(t, err)
	said(t, s, mover, "that ran beside another has ended")
	nothingLeft(t, s)
}

// Where no second child can be started, since all is hot-added, what waits behind a hung
// Open goes to other movers, and the one that hangs is shown.
func TestAHungOpenByHotAddAloneSendsTheOthersElsewhere(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	ctx := t.Context()
	const vm = "lab-vm-3"
	s.Config.Transports, s.Config.BIOSUUID, s.Config.AckWait = "hotadd", estate.BIOSUUID(vm), "2s"
	must(t, script.WriteHosts(s.Path("lab"), script.Hosts{Proxies: []script.Proxy{{BIOSUUID: estate.BIOSUUID(vm), VM: vm, FreeSlots: 8}}}))
	for n := range 4 {
		_, err := s.Owner.Create(ctx, "datastore1", fmt.Sprintf("data-%d", n), 8)
		must(t, err)
	}
	coordinator, movers := serve(t, s, "m1", "m2")
	must(t, script.WriteFaults(s.Path("lab"), script.Fault{Call: "Open", Mode: "hotadd", Shared: true, Do: script.Hang}))
	run, err := s.Backup(ctx)
	must(t, err)
	var hangs *stage.Process
	must(t, coordinator.Await(ctx, "one says that it hangs", limit, func() bool {
		var shown []struct {
			Name  string
			Hangs bool
		}
		if s.Quietly(ctx, &shown, "movers") != nil {
			return false
		}
		for _, m := range shown {
			for _, p := range movers {
				if m.Hangs && m.Name == p.Name {
					hangs = p
				}
			}
		}
		return hangs != nil
	}))
	said(t, s, hangs, "no other may run beside it")
	first := childOf(t, hangs)
	must(t, coordinator.Await(ctx, "the others are done", limit, func() bool {
		var shown struct{ Counts struct{ Done int } }
		return s.Quietly(ctx, &shown, "run", "show", run) == nil && shown.Counts.Done >= 3 // all of them where it hangs in an inspection
	}))
	must(t, syscall.Kill(first, syscall.SIGKILL)) // it has hung all the while
	_, err = s.Ended(ctx, coordinator, run, limit)
	must(t, err)
	released(t, s, coordinator)
}
