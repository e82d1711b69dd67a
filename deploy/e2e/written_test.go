package e2e

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"ivdmover/deploy/lab/script"
	"ivdmover/deploy/stage"
)

// writing is a stage on which a restore by the mover m1 is in the middle of its writes,
// to a disk whose file is returned beside that of the disk that was backed up.
func writing(t *testing.T) (s *stage.Stage, coordinator, mover *stage.Process, run, flat, restored string) {
	t.Helper()
	ctx := t.Context()
	s = newStage(t)
	s.Config.AckWait = "2s"
	disk, err := s.Owner.Create(ctx, "datastore1", "data", 32)
	must(t, err)
	must(t, s.GuestWrites(ctx, disk, 0, 30<<20, 5))
	flat, err = s.Flat(disk)
	must(t, err)
	coordinator, movers := serve(t, s, "m1")
	point := backup(t, s, coordinator).Disk("data").Point
	must(t, script.WriteFaults(s.Path("lab"), script.Fault{Call: "WriteAsync", Nth: 5, Shared: true, Do: script.Hang}))
	run, err = s.Restore(ctx, point, "back")
	must(t, err)
	happened(t, s, coordinator, 5)
	files, err := filepath.Glob(s.Path("lab", "datastores", "*", "*", "*-flat.vmdk"))
	must(t, err)
	for _, f := range files {
		if f != flat {
			restored = f
		}
	}
	if len(files) != 2 || restored == "" {
		t.Fatalf("the disks' files are %q", files)
	}
	return s, coordinator, movers[0], run, flat, restored
}

// identical fails for a restored disk that is not what was backed up.
func identical(t *testing.T, flat, restored string) {
	t.Helper()
	if _, err := stage.Compare(flat, restored); err != nil {
		t.Error(err)
	}
}

// A child that does nothing with a disk open for writing is dead before another begins,
// and the disk is written to its end.
func TestAStoppedChildWithADiskOpenForWriting(t *testing.T) {
	t.Parallel()
	s, coordinator, mover, run, flat, restored := writing(t)
	first := childOf(t, mover)
	must(t, syscall.Kill(first, syscall.SIGSTOP))
	began := regexp.MustCompile(`child process started.* pid=(\d+)`)
	var pids [][][]byte
	must(t, mover.Await(t.Context(), "another child begins", limit, func() bool {
		log, err := os.ReadFile(s.Path("logs", "m1.log"))
		pids = began.FindAllSubmatch(log, -1)
		return err == nil && len(pids) > 1
	}))
	if err := syscall.Kill(first, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the first child is there when the next begins: %v", err)
	}
	if pid, err := strconv.Atoi(string(pids[0][1])); err != nil || pid != first || bytes.Equal(pids[0][1], pids[1][1]) {
		t.Errorf("the children are %q, the first is %d", pids, first)
	}
	_, err := s.Ended(t.Context(), coordinator, run, limit)
	must(t, err)
	identical(t, flat, restored)
	nothingLeft(t, s)
}

// A disk that a process has open for writing which is there and does nothing, and which
// nobody kills, is not given to another mover: that one names who has it, waits, and
// writes nothing before it is gone.
func TestADiskOpenForWritingIsNotGivenToAnother(t *testing.T) {
	t.Parallel()
	s, coordinator, mover, run, flat, restored := writing(t)
	child := childOf(t, mover)
	for _, pid := range []int{mover.PID(), child} {
		must(t, syscall.Kill(pid, syscall.SIGSTOP))
	}
	content := func() [sha256.Size]byte {
		text, err := os.ReadFile(restored)
		must(t, err)
		return sha256.Sum256(text)
	}
	other, err := s.StartMover("m2")
	must(t, err)
	waits := regexp.MustCompile(`is waited for.*mover m1`)
	waited := func(times int) {
		t.Helper()
		must(t, other.Await(t.Context(), fmt.Sprintf("the other mover waits, %d times", times), limit, func() bool {
			log, err := os.ReadFile(s.Path("logs", "m2.log"))
			return err == nil && len(waits.FindAll(log, -1)) >= times
		}))
	}
	// What the stopped process had sent may be written after it was stopped, but not so long.
	waited(1)
	stopped := content()
	waited(2)
	if content() != stopped {
		t.Error("the disk was written to while another process had it")
	}
	must(t, syscall.Kill(child, syscall.SIGKILL))
	_, err = s.Ended(t.Context(), coordinator, run, limit)
	must(t, err)
	identical(t, flat, restored)
	must(t, syscall.Kill(mover.PID(), syscall.SIGCONT))
	nothingLeft(t, s)
}
