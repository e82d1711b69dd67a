package progress

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/termtest"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

// ended is a disk that is done after four seconds.
func ended(name string) api.RunDisk {
	d := disk(name, api.Ended, 1<<30, 1<<30, 200<<20)
	d.Result, d.Started = api.Done, time.Unix(1000, 0)
	d.Ended = d.Started.Add(4 * time.Second)
	return d
}

// clock is moved by the test.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// onTerminal shows on a terminal of a given size.
func onTerminal(t *testing.T, width, height int) (*Progress, *termtest.Terminal, *clock) {
	c := &clock{now: time.Unix(1000, 0)}
	term := termtest.Open(t, width, height)
	p := New(term.File, c.Now)
	t.Cleanup(p.Clear) // before the terminal is closed
	return p, term, c
}

// is wants a screen as it is written here.
func is(lines ...string) func(string) bool {
	return func(screen string) bool { return screen == strings.Join(lines, "\n")+"\n" }
}

func TestBars(t *testing.T) {
	p, term, clock := onTerminal(t, 80, 24)
	p.Show(view(disk("data", api.Moving, 1<<30, 0, 0), disk("log", api.Waiting, 1<<30, 0, 0)))
	clock.now = clock.now.Add(2 * time.Second)
	p.Show(view(disk("data", api.Moving, 1<<30, 512<<20, 100<<20), disk("log", api.Waiting, 1<<30, 0, 0)))
	term.Await("bar half full", is(
		"data               [========        ]  50%  moving     100 MiB 50.0 MiB/s nbdssl",
		"0 of 2 disks ended, 25%, 100 MiB read, 50.0 MiB stored, 50.0 MiB/s, 1 waiting",
	))
	clock.now = clock.now.Add(10 * time.Second) // a bar that is full stays as long as its disk is at work
	p.Show(view(ended("data"), disk("log", "closing", 1<<30, 1<<30, 8<<20)))
	term.Await("line of the disk that ended, above the bars", is(
		"data: done in 4.0 s, 200 MiB of 1.00 GiB read, 100 MiB stored",
		"log                [============================] 100%  closing   8.00 MiB",
		"1 of 2 disks ended, 100%, 208 MiB read, 104 MiB stored, 10.8 MiB/s",
	))
	failed := disk("log", api.Ended, 1<<30, 0, 0)
	failed.Result, failed.Failure = api.Failed, ivd.FailureOf(&ivd.Error{Err: errors.New("no\nspace"), Remedy: "make some"})
	v := view(ended("data"), failed)
	v.State = api.Partial
	p.Show(v)
	p.Show(v) // nothing is said again
	term.Await("end", is(
		"data: done in 4.0 s, 200 MiB of 1.00 GiB read, 100 MiB stored",
		"log: failed: no space; make some",
	))
}

// Whatever the terminal's size, no line wraps and none is shown twice.
func TestBarsFitTheTerminal(t *testing.T) {
	for _, width := range []int{80, 60, 30, 5} {
		p, term, _ := onTerminal(t, width, 8)
		var disks []api.RunDisk
		for i := range 100 {
			disks = append(disks, disk(fmt.Sprint("disk-with-quite-a-long-name-", i), api.Moving, 1<<40, 1<<39, 123456789012))
		}
		p.Show(view(disks...))
		p.Show(view(append([]api.RunDisk{ended("a")}, disks...)...))
		screen := term.Await("bars", func(s string) bool { return strings.Contains(s, "\n… an") && strings.Contains(s, "\n1 of") })
		lines := strings.Split(strings.TrimSuffix(screen, "\n"), "\n")
		bars := lines[len(lines)-6:]
		if width == 80 && (len(lines) != 7 || !strings.HasPrefix(bars[3], "disk-with-quite-a… [=====") || bars[4] != "… and 96 more disks at work") {
			t.Errorf("%d columns:\n%s", width, screen)
		}
		for i, l := range bars {
			if n := len([]rune(l)); n > width || strings.HasPrefix(l, "disk") != (i < 4) {
				t.Errorf("%d columns: line %d has %d: %s", width, i, n, l)
			}
		}
		p.Clear()
		term.Await("screen without bars", func(s string) bool {
			return strings.NewReplacer("\n", "", " ", "").Replace(s) == "a:donein4.0s,200MiBof1.00GiBread,100MiBstored"
		})
	}
}

// As disks end, others take their places.
func TestBarsMoveUp(t *testing.T) {
	p, term, _ := onTerminal(t, 60, 6)
	work := func(name string) api.RunDisk { return disk(name, "preparing", 0, 0, 0) }
	p.Show(view(work("a"), work("b"), work("c"), work("d")))
	term.Await("two bars", func(s string) bool {
		return strings.Contains(s, "\nb ") && !strings.Contains(s, "\nc ") && strings.Contains(s, "and 2 more")
	})
	p.Show(view(ended("a"), work("b"), work("c"), work("d")))
	term.Await("all bars", func(s string) bool {
		lines := strings.Split(s, "\n")
		return len(lines) == 6 && lines[1][:2] == "b " && lines[2][:2] == "c " && lines[3][:2] == "d " && strings.HasPrefix(lines[4], "1 of 4") && lines[5] == ""
	})
}

// What somebody types meanwhile is drawn over, and moves no line.
func TestTypedKeysDoNoHarm(t *testing.T) {
	p, term, _ := onTerminal(t, 80, 24)
	full := func(percent string, covered int64) func(string) bool {
		p.Show(view(disk("a", api.Moving, 100, covered, 0)))
		return func(s string) bool {
			return strings.HasPrefix(s, "a ") && strings.Contains(s, percent+"%  moving") && strings.Count(s, "\n") == 2 && strings.HasSuffix(s, "\n")
		}
	}
	term.Await("bar", full("10", 10))
	term.Type("xyz")
	term.Await("bar at its place", full("20", 20))
}

// A terminal that goes away while bars are shown takes nothing down.
func TestTerminalGoesAway(t *testing.T) {
	p, term, _ := onTerminal(t, 80, 24)
	p.Show(view(disk("a", api.Moving, 1<<30, 0, 0)))
	term.Await("bar", func(s string) bool { return strings.HasPrefix(s, "a ") })
	_ = term.File.Close()
	for err := error(nil); err == nil; { // until it was drawn to what is gone
		_, err = p.bars.area.Write(nil)
	}
	p.Show(view(ended("a"), disk("b", api.Moving, 1<<30, 1, 1), disk("c", api.Moving, 1<<30, 1, 1)))
	p.Show(view(ended("a"), ended("b"), disk("c", api.Moving, 1<<30, 1, 1)))
	p.Clear()
}

func TestPlainLines(t *testing.T) {
	var out strings.Builder
	c := &clock{now: time.Date(2026, 11, 24, 23, 15, 0, 0, time.UTC)}
	p := New(&out, c.Now)
	for i := range int64(25) { // a view a second
		p.Show(view(disk("data", api.Moving, 1<<30, i<<20, i<<20)))
		c.now = c.now.Add(time.Second)
	}
	p.Show(view(ended("data")))
	p.Show(view(ended("data")))
	p.Clear()
	want := "run 20261124t231500z-1f0c2a9b: 0 of 1 disks ended, 0%, 0 B read, 0 B stored, 0 B/s\n" +
		"run 20261124t231500z-1f0c2a9b: 0 of 1 disks ended, 0%, 10.0 MiB read, 5.00 MiB stored, 1.00 MiB/s\n" +
		"run 20261124t231500z-1f0c2a9b: 0 of 1 disks ended, 1%, 20.0 MiB read, 10.0 MiB stored, 1.00 MiB/s\n" +
		"data: done in 4.0 s, 200 MiB of 1.00 GiB read, 100 MiB stored\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What a run waits for stands above the disks at work, or below the plain line.
func TestWaitingSaysForWhat(t *testing.T) {
	v := view(disk("data", api.Waiting, 1<<30, 0, 0))
	v.Waiting = "no mover takes jobs\x1b"
	p, term, _ := onTerminal(t, 100, 24)
	p.Show(v)
	term.Await("line about it", is(`no mover takes jobs\x1b`, "0 of 1 disks ended, 0%, 0 B read, 0 B stored, 0 B/s, 1 waiting"))
	var out strings.Builder
	New(&out, time.Now).Show(v)
	if want := "run 20261124t231500z-1f0c2a9b waits: no mover takes jobs\\x1b\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("%q, want %q at its end", out.String(), want)
	}
}

// A terminal that does not know its size is written to as a file is.
func TestTerminalWithoutASize(t *testing.T) {
	p, term, _ := onTerminal(t, 0, 0)
	if p.bars != nil {
		t.Error("bars on no space")
	}
	term.File.Close()
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
