package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/script"
	"ivdmover/deploy/stage"
)

// devices are the disks that the laboratory's proxies hold.
func devices(t *testing.T, s *stage.Stage) []string {
	t.Helper()
	list, err := filepath.Glob(s.Path("lab", "hotadd", "*", "[0-9]*"))
	must(t, err)
	return list
}

// childOf is the number of a mover's child.
func childOf(t *testing.T, mover *stage.Process) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", mover.PID(), mover.PID()))
	must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(t, err)
	return pid
}

// hotAdding is a stage whose movers are in a virtual machine with one free slot, and
// one disk.
func hotAdding(t *testing.T) (s *stage.Stage, coordinator, mover *stage.Process, flat string) {
	t.Helper()
	ctx := t.Context()
	s = newStage(t)
	const vm = "lab-vm-3"
	s.Config.Transports, s.Config.BIOSUUID, s.Config.AckWait = "hotadd, nbdssl", estate.BIOSUUID(vm), "2s"
	must(t, script.WriteHosts(s.Path("lab"), script.Hosts{Proxies: []script.Proxy{{BIOSUUID: estate.BIOSUUID(vm), VM: vm, FreeSlots: 1}}}))
	disk, err := s.Owner.Create(ctx, "datastore1", "held", 64)
	must(t, err)
	must(t, s.GuestWrites(ctx, disk, 0, 40<<20, 5))
	flat, err = s.Flat(disk)
	must(t, err)
	coordinator, movers := serve(t, s, "m1")
	return s, coordinator, movers[0], flat
}

// hanging begins a run and waits until its third such call over hotadd hangs: once,
// whoever calls.
func hanging(t *testing.T, s *stage.Stage, coordinator *stage.Process, call string, begin func() (string, error)) (run string) {
	t.Helper()
	must(t, script.WriteFaults(s.Path("lab"), script.Fault{Call: call, Mode: "hotadd", Nth: 3, Shared: true, Do: script.Hang}))
	run, err := begin()
	must(t, err)
	must(t, coordinator.Await(t.Context(), "the disk is hot-added and moved", limit, func() bool {
		counts, err := filepath.Glob(s.Path("lab", "faults.count", "*"))
		if err != nil || len(counts) != 1 || len(devices(t, s)) != 1 {
			return false
		}
		text, err := os.ReadFile(counts[0])
		if err != nil {
			return false
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil && n >= 3
	}))
	return run
}

// released waits until no proxy holds a disk and vCenter has no snapshot of ours.
func released(t *testing.T, s *stage.Stage, p *stage.Process) {
	t.Helper()
	must(t, p.Await(t.Context(), "the devices and snapshots go", limit, func() bool {
		left, err := s.Leftovers(t.Context())
		return err == nil && len(left) == 0 && len(devices(t, s)) == 0
	}))
	misuses, err := script.Misuses(s.Path("lab"))
	must(t, err)
	for _, m := range misuses {
		t.Errorf("a rule of the library was broken: %+v", m)
	}
}

// A child that is killed with a disk hot-added leaves it to its successor, which
// releases it before the snapshot's deletion is given up.
func TestAChildKilledWithADiskHotAdded(t *testing.T) {
	t.Parallel()
	s, coordinator, mover, flat := hotAdding(t)
	run := hanging(t, s, coordinator, "ReadAsync", func() (string, error) { return s.Backup(t.Context()) })
	must(t, syscall.Kill(childOf(t, mover), syscall.SIGKILL))
	r, err := s.Ended(t.Context(), coordinator, run, limit)
	must(t, err)
	if got := howMoved(t, s, run)["held"]; !slices.Contains(got.Transports, "hotadd") {
		t.Errorf("moved by %v", got.Transports)
	}
	nothingLeft(t, s)
	released(t, s, coordinator)
	restoreAndCompare(t, s, coordinator, r.Disk("held").Point, "held-back", flat)
}

// A mover that is killed with a disk hot-added, and whose job another one does,
// releases it as soon as it is back, although it has nothing else to do.
func TestAMoverKilledWithADiskHotAddedAndItsJobDoneByAnother(t *testing.T) {
	t.Parallel()
	s, coordinator, mover, flat := hotAdding(t)
	run := hanging(t, s, coordinator, "ReadAsync", func() (string, error) { return s.Backup(t.Context()) })
	mover.Kill()
	if len(devices(t, s)) != 1 {
		t.Fatal("the device went with its process")
	}
	_, err := s.StartMover("m2")
	must(t, err)
	must(t, coordinator.Await(t.Context(), "the other mover has done the job", limit, func() bool {
		return slices.Contains(howMoved(t, s, run)["held"].Transports, "nbdssl")
	}))
	if len(devices(t, s)) != 1 {
		t.Error("another mover has taken the device away")
	}
	_, err = s.StartMover("m1")
	must(t, err)
	r, err := s.Ended(t.Context(), coordinator, run, limit)
	must(t, err)
	nothingLeft(t, s)
	released(t, s, coordinator)
	restoreAndCompare(t, s, coordinator, r.Disk("held").Point, "held-back", flat)
}

// The same with a disk that is being restored: its next attempt writes to it again.
func TestAChildKilledWithARestoredDiskHotAdded(t *testing.T) {
	t.Parallel()
	s, coordinator, mover, flat := hotAdding(t)
	point := backup(t, s, coordinator).Disk("held").Point
	run := hanging(t, s, coordinator, "WriteAsync", func() (string, error) { return s.Restore(t.Context(), point, "again") })
	must(t, syscall.Kill(childOf(t, mover), syscall.SIGKILL))
	_, err := s.Ended(t.Context(), coordinator, run, limit)
	must(t, err)
	d, err := s.ByName(t.Context(), "again")
	must(t, err)
	restored, err := s.Flat(d)
	must(t, err)
	if _, err := stage.Compare(flat, restored); err != nil {
		t.Error(err)
	}
	released(t, s, coordinator)
}
