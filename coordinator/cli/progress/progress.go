// Package progress shows how a run goes on while somebody waits for it: on a
// terminal bars that are redrawn in place, a line for each disk at work and one
// for the sum; elsewhere a plain line now and then, and one for each disk that
// ends. It shows what the views say and reads nothing itself.
package progress

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/text"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/telemetry"
)

// plainEvery is how often a line is written where there is no terminal.
const plainEvery = 10 * time.Second

// Options say where progress is shown.
type Options struct {
	Out      io.Writer
	Terminal bool
	Size     func() (width, height int) // of the terminal
	Now      func() time.Time
}

// Progress shows one run. It is not safe for concurrent use.
type Progress struct {
	Options
	drawn int // lines that stand on the terminal
	said  time.Time
	rates map[ivd.DiskID]*rate
	sum   rate
	ended map[ivd.DiskID]bool // disks whose end was said
}

// New makes one for a run of which nothing was shown yet.
func New(o Options) *Progress {
	return &Progress{Options: o, rates: map[ivd.DiskID]*rate{}, ended: map[ivd.DiskID]bool{}}
}

// Show shows the run as it is now.
func (p *Progress) Show(v api.RunDetail) {
	now := p.Now()
	var moved int64
	for _, d := range v.Disks {
		r := p.rates[d.ID]
		if r == nil {
			r = &rate{}
			p.rates[d.ID] = r
		}
		r.add(now, bytesMoved(v.Kind, d.Stats))
		moved += bytesMoved(v.Kind, d.Stats)
	}
	p.sum.add(now, moved)
	p.clear()
	p.sayEnds(v)
	if p.Terminal {
		p.draw(v)
		return
	}
	if !v.State.Ended() && now.Sub(p.said) >= plainEvery {
		p.said = now
		fmt.Fprintln(p.Out, "run "+string(v.ID)+": "+p.plain(v))
	}
}

// Clear takes the bars away, so that something else can be written.
func (p *Progress) Clear() { p.clear() }

// sayEnds writes a line for each disk that has ended since the last view.
func (p *Progress) sayEnds(v api.RunDetail) {
	for _, d := range v.Disks {
		if d.Step != api.Ended || p.ended[d.ID] {
			continue
		}
		p.ended[d.ID] = true
		fmt.Fprintln(p.Out, End(v.Kind, d))
	}
}

// End is a line about a disk that has ended.
func End(kind job.Kind, d api.RunDisk) string {
	took := ""
	if !d.Started.IsZero() && d.Ended.After(d.Started) {
		took = " in " + telemetry.Elapsed(d.Ended.Sub(d.Started))
	}
	line := fmt.Sprintf("%s: %s%s", name(d), d.Result, took)
	switch {
	case d.Failure != nil:
		line += ": " + Failure(d.Failure)
	case kind == job.Restore:
		line += fmt.Sprintf(", %s of %s written", telemetry.Bytes(d.Stats.WrittenBytes), telemetry.Bytes(d.Capacity))
	default:
		line += fmt.Sprintf(", %s of %s read, %s stored", telemetry.Bytes(d.Stats.ReadBytes), telemetry.Bytes(d.Capacity), telemetry.Bytes(d.Stats.StoredBytes))
	}
	return line
}

// Failure is a failure with its remedy, in one line.
func Failure(f *ivd.Failure) string {
	line := strings.Join(strings.Fields(f.Message), " ")
	if f.Remedy != "" {
		line += "; " + f.Remedy
	}
	return line
}

// plain is the sum in words.
func (p *Progress) plain(v api.RunDetail) string {
	if len(v.Disks) == 0 {
		return "begins"
	}
	over, failed := 0, 0
	var covered, capacity int64
	for _, d := range v.Disks {
		covered += d.Stats.DiskBytes
		capacity += d.Capacity
		if d.Step == api.Ended {
			over++
			if d.Result != api.Done {
				failed++
			}
		}
	}
	s := fmt.Sprintf("%d of %d disks ended", over, len(v.Disks))
	if failed > 0 {
		s += fmt.Sprintf(", %d not done", failed)
	}
	if capacity > 0 {
		s += fmt.Sprintf(", %d%%", text.Percent(covered, capacity))
	}
	if v.Kind == job.Restore {
		s += ", " + telemetry.Bytes(v.Stats.WrittenBytes) + " written"
	} else {
		s += ", " + telemetry.Bytes(v.Stats.ReadBytes) + " read, " + telemetry.Bytes(v.Stats.StoredBytes) + " stored"
	}
	return s + ", " + perSecond(p.sum.perSecond())
}

// bytesMoved is what a disk's rate is measured by.
func bytesMoved(kind job.Kind, s ivd.Stats) int64 {
	if kind == job.Restore {
		return s.WrittenBytes
	}
	return s.ReadBytes
}

// name is what people call the disk: of a restore, the new one.
func name(d api.RunDisk) string { return cmp.Or(d.Target, d.Name, string(d.ID)) }
