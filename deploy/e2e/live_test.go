package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ivdmover/deploy/lab/owner"
	"ivdmover/deploy/lab/script"
	"ivdmover/deploy/stage"
)

// slow makes the host's data port so slow that a disk takes some seconds; the
// answer makes it fast again.
func slow(t *testing.T, s *stage.Stage) (fast func()) {
	t.Helper()
	must(t, script.WriteHosts(s.Path("lab"), script.Hosts{Bandwidth: 4 << 20}))
	return func() {
		t.Helper()
		must(t, script.WriteHosts(s.Path("lab"), script.Hosts{}))
	}
}

// filled makes a disk of whole MiB with so much on it.
func filled(t *testing.T, s *stage.Stage, name string, mib, content int64) owner.Disk {
	t.Helper()
	d, err := s.Owner.Create(t.Context(), "datastore1", name, mib)
	must(t, err)
	must(t, s.GuestWrites(t.Context(), d, 0, content<<20, len(name)))
	return d
}

// copied is what a disk holds now.
func copied(t *testing.T, s *stage.Stage, d owner.Disk, name string) string {
	t.Helper()
	flat, err := s.Flat(d)
	must(t, err)
	want := s.Path(name)
	must(t, stage.Copy(t.Context(), flat, want))
	return want
}

// seen waits until a run is seen to be so.
func seen(t *testing.T, s *stage.Stage, p *stage.Process, id, what string, so func(stage.Run) bool) {
	t.Helper()
	must(t, p.Await(t.Context(), what, limit, func() bool {
		var r stage.Run
		return s.Quietly(t.Context(), &r, "run", "show", id) == nil && so(r)
	}))
}

func moving(name string) func(stage.Run) bool {
	return func(r stage.Run) bool { d := r.Disk(name); return d.Step == "moving" && d.Stats.ReadBytes > 0 }
}

// waited is a command that runs beside the test, and its exit status.
func waited(t *testing.T, s *stage.Stage, args ...string) (status func() int) {
	t.Helper()
	end := make(chan int, 1)
	go func() {
		_, _, err := s.Command(t.Context(), args...)
		var exit *exec.ExitError
		switch {
		case err == nil:
			end <- 0
		case errors.As(err, &exit):
			end <- exit.ExitCode()
		default:
			end <- -1
		}
	}()
	return func() int {
		t.Helper()
		select {
		case code := <-end:
			return code
		case <-time.After(limit):
			t.Fatalf("ivd %s does not end", strings.Join(args, " "))
			return -1
		}
	}
}

// newest is the run that began last.
func newest(t *testing.T, s *stage.Stage, p *stage.Process) string {
	t.Helper()
	var runs []stage.Run
	must(t, p.Await(t.Context(), "a run begins", limit, func() bool {
		return s.Quietly(t.Context(), &runs, "runs") == nil && len(runs) > 0
	}))
	return runs[0].ID
}

// A run that is cancelled while a disk is read ends soon: what was done stays done,
// the rest leaves nothing behind, and who waits is told.
func TestRunCancelledInTheMiddle(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	small := filled(t, s, "small", 8, 1)
	filled(t, s, "large", 256, 200)
	want := copied(t, s, small, "want")
	coordinator, _ := serve(t, s, "m1")
	fast := slow(t, s)
	status := waited(t, s, "backup", "--policy", "all", "--wait")
	id := newest(t, s, coordinator)
	seen(t, s, coordinator, id, "the small disk is done and the large one is read", func(r stage.Run) bool {
		return r.Disk("small").Result == "done" && moving("large")(r)
	})
	must(t, s.Ask(t.Context(), nil, "run", "cancel", id))
	if code := status(); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	var r stage.Run
	must(t, s.Quietly(t.Context(), &r, "run", "show", id))
	if r.State != "cancelled" || r.Disk("small").Result != "done" || r.Disk("large").Result != "cancelled" {
		t.Errorf("%+v", r)
	}
	nothingLeft(t, s)
	fast()
	restoreAndCompare(t, s, coordinator, r.Disk("small").Point, "back", want)
	backup(t, s, coordinator)
	nothingLeft(t, s)
}

// A disk that is deleted in vCenter before its turn fails, and the others do not.
func TestOneDiskFailsWithExitStatusThree(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.Config.Handles = 1
	filled(t, s, "first", 32, 20)
	filled(t, s, "second", 32, 20)
	doomed := filled(t, s, "doomed", 8, 1)
	coordinator, _ := serve(t, s, "m1")
	fast := slow(t, s)
	status := waited(t, s, "backup", "--policy", "all", "--wait")
	id := newest(t, s, coordinator)
	var victim string // whichever waits for its turn
	seen(t, s, coordinator, id, "one disk waits and two do not", func(r stage.Run) bool {
		waiting := 0
		for _, d := range r.Disks {
			if d.Step == "waiting" {
				victim, waiting = d.Name, waiting+1
			}
		}
		return waiting == 1
	})
	if victim != doomed.Name {
		var err error
		doomed, err = s.ByName(t.Context(), victim)
		must(t, err)
	}
	must(t, s.Owner.Delete(t.Context(), doomed.Ref))
	fast()
	if code := status(); code != 3 {
		t.Errorf("exit status %d, want 3", code)
	}
	var r stage.Run
	must(t, s.Quietly(t.Context(), &r, "run", "show", id))
	if r.State != "partial" {
		t.Errorf("the run is %s", r.State)
	}
	for _, d := range r.Disks {
		if (d.Result == "failed") != (d.Name == victim) {
			t.Errorf("disk %s is %s: %+v", d.Name, d.Result, d.Failure)
		}
	}
	nothingLeft(t, s)
}

// A point holds what the disk held at its snapshot, whatever guests write while it
// is read; the next one holds what they wrote.
func TestGuestsWriteDuringABackup(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := filled(t, s, "busy", 48, 40)
	coordinator, _ := serve(t, s, "m1")
	before := copied(t, s, d, "before")
	fast := slow(t, s)
	id, err := s.Backup(t.Context())
	must(t, err)
	seen(t, s, coordinator, id, "the disk is read", moving("busy"))
	for n := range 12 { // before and behind what is read just now
		must(t, s.GuestWrites(t.Context(), d, int64(n)*4<<20, 1<<20, 50+n))
	}
	fast()
	first, err := s.Ended(t.Context(), coordinator, id, limit)
	must(t, err)
	after := copied(t, s, d, "after")
	second := backup(t, s, coordinator)
	if got := second.Disk("busy"); got.Mode != "changed" || got.Stats.ReadBytes > 16<<20 {
		t.Errorf("the second backup is %q and read %d bytes", got.Mode, got.Stats.ReadBytes)
	}
	restoreAndCompare(t, s, coordinator, first.Disk("busy").Point, "back-1", before)
	restoreAndCompare(t, s, coordinator, second.Disk("busy").Point, "back-2", after)
	nothingLeft(t, s)
}

// One disk through what owners do to disks between two backups: each point comes
// back, however its areas were found.
func TestEachWayToFindWhatToRead(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.Config.CBT, s.Config.Plain = "use", true
	d := filled(t, s, "disk", 24, 12)
	coordinator, _ := serve(t, s, "m1")
	steps := []struct {
		name, mode string
		args       []string
		do         func() error
	}{
		{"untracked", "allocated", nil, func() error { return nil }},
		{"tracked", "in_use", nil, func() error { return s.Owner.Track(t.Context(), d.Ref, true) }},
		{"changed", "changed", nil, func() error { return nil }},
		{"extended", "changed", nil, func() error {
			if err := s.Owner.Extend(t.Context(), d.Ref, 27); err != nil {
				return err
			}
			return s.GuestWrites(t.Context(), d, 25<<20, 2<<20, 77)
		}},
		{"reset", "in_use", nil, func() error {
			return errors.Join(s.Owner.Track(t.Context(), d.Ref, false), s.Owner.Track(t.Context(), d.Ref, true))
		}},
		{"full", "in_use", []string{"--full"}, func() error { return nil }},
		{"off", "allocated", nil, func() error { return s.Owner.Track(t.Context(), d.Ref, false) }},
	}
	var points []acknowledged
	for n, step := range steps {
		must(t, step.do())
		must(t, s.GuestWrites(t.Context(), d, int64(2*n)<<20, 1<<20, 100+n))
		want := copied(t, s, d, "want-"+step.name)
		id, err := s.Backup(t.Context(), step.args...)
		must(t, err)
		r, err := s.Ended(t.Context(), coordinator, id, limit)
		must(t, err)
		if got := r.Disk("disk").Mode; got != step.mode {
			t.Errorf("%s: mode %q, want %q", step.name, got, step.mode)
		}
		points = append(points, acknowledged{r.Disk("disk").Point, want})
	}
	for i, p := range points {
		restoreAndCompare(t, s, coordinator, p.point, fmt.Sprintf("back-%s", steps[i].name), p.want)
	}
	nothingLeft(t, s)
}
