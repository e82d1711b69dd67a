package progress

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

func disk(name string, step string, capacity, covered, read int64) api.RunDisk {
	d := api.RunDisk{Key: name, ID: ivd.DiskID(name), Name: name, Step: step, Capacity: capacity}
	d.Stats = ivd.Stats{DiskBytes: covered, ReadBytes: read, StoredBytes: read / 2}
	d.Transports = []string{"nbdssl"}
	return d
}

func view(disks ...api.RunDisk) api.RunDetail {
	v := api.RunDetail{Run: api.Run{ID: "20261124t231500z-1f0c2a9b", Kind: job.Backup, State: api.Running}, Disks: disks}
	for _, d := range disks {
		v.Stats.Add(d.Stats)
	}
	return v
}

// shown collects what is written, with a clock that the test moves.
type shown struct {
	*Progress
	out strings.Builder
	now time.Time
}

func newShown(terminal bool, height int) *shown {
	s := &shown{now: time.Date(2026, 11, 24, 23, 15, 0, 0, time.UTC)}
	s.Progress = New(Options{Out: &s.out, Terminal: terminal, Now: func() time.Time { return s.now }, Size: func() (int, int) { return 80, height }})
	return s
}

func (s *shown) take() string {
	defer s.out.Reset()
	return s.out.String()
}

func TestBars(t *testing.T) {
	s := newShown(true, 24)
	s.Show(view(disk("data", api.Moving, 1<<30, 0, 0), disk("log", api.Waiting, 1<<30, 0, 0)))
	s.take()
	s.now = s.now.Add(2 * time.Second)
	s.Show(view(disk("data", api.Moving, 1<<30, 512<<20, 100<<20), disk("log", api.Waiting, 1<<30, 0, 0)))
	want := "\x1b[2A\r\x1b[J" +
		"data               [======       ]  50%  moving     100 MiB 50.0 MiB/s nbdssl\n" +
		"0 of 2 disks ended, 25%, 100 MiB read, 50.0 MiB stored, 50.0 MiB/s, 1 waiting\n"
	if got := s.take(); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	ended := disk("data", api.Ended, 1<<30, 1<<30, 200<<20)
	ended.Result, ended.Started, ended.Ended = api.Done, s.now, s.now.Add(4*time.Second)
	failed := disk("log", api.Ended, 1<<30, 0, 0)
	failed.Result, failed.Failure = api.Failed, ivd.FailureOf(&ivd.Error{Err: errors.New("no\nspace"), Remedy: "make some"})
	v := view(ended, failed)
	v.State = api.Partial
	s.Show(v)
	want = "\x1b[2A\r\x1b[J" +
		"data: done in 4.0 s, 200 MiB of 1.00 GiB read, 100 MiB stored\n" +
		"log: failed: no space; make some\n"
	if got := s.take(); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	s.Show(v)
	if got := s.take(); got != "" {
		t.Errorf("ends are said again: %q", got)
	}
}

func TestBarsFitTheTerminal(t *testing.T) {
	s := newShown(true, 8)
	var disks []api.RunDisk
	for i := range 100 {
		disks = append(disks, disk(fmt.Sprint("disk-with-quite-a-long-name-", i), api.Moving, 1<<40, 1<<39, 123456789012))
	}
	s.Show(view(disks...))
	lines := strings.Split(strings.TrimSuffix(s.take(), "\n"), "\n")
	if len(lines) != 6 || lines[4] != "… and 96 more disks at work" {
		t.Errorf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	for _, l := range lines {
		if n := len([]rune(l)); n > 79 {
			t.Errorf("%d columns: %s", n, l)
		}
	}
}

func TestPlainLines(t *testing.T) {
	s := newShown(false, 0)
	for i := range int64(25) { // a view a second
		s.Show(view(disk("data", api.Moving, 1<<30, i<<20, i<<20)))
		s.now = s.now.Add(time.Second)
	}
	want := "run 20261124t231500z-1f0c2a9b: 0 of 1 disks ended, 0%, 0 B read, 0 B stored, 0 B/s\n" +
		"run 20261124t231500z-1f0c2a9b: 0 of 1 disks ended, 0%, 10.0 MiB read, 5.00 MiB stored, 1.00 MiB/s\n" +
		"run 20261124t231500z-1f0c2a9b: 0 of 1 disks ended, 1%, 20.0 MiB read, 10.0 MiB stored, 1.00 MiB/s\n"
	if got := s.take(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRateForgetsAndStartsAnew(t *testing.T) {
	var r rate
	at := time.Unix(0, 0)
	for i := range int64(100) {
		r.add(at.Add(time.Duration(i)*time.Second), i*1000)
	}
	if len(r.samples) > 8 || r.perSecond() != 1000 {
		t.Errorf("%d samples, %v a second", len(r.samples), r.perSecond())
	}
	r.add(at.Add(100*time.Second), 5)
	if r.perSecond() != 0 {
		t.Errorf("%v a second after the figure fell", r.perSecond())
	}
}
