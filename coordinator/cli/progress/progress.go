// Package progress shows how far a run is while a command waits for its end: on a
// terminal a bar for each disk at work and a line about all of them; elsewhere a
// plain line now and then. Either way each disk that ends gets a line that stays.
// It shows what it is given and reads nothing itself. Bars are drawn by mpb.
package progress

import (
	"fmt"
	"io"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/shared/telemetry"
)

// plainEvery is how often a line is written where there is no terminal.
const plainEvery = 10 * time.Second

// Progress shows one run. It is not safe for concurrent use.
type Progress struct {
	out   io.Writer
	now   func() time.Time
	bars  *bars // nil: out is no terminal
	said  time.Time
	rates map[string]*rate
	sum   rate
	ended map[string]bool // disks whose end was shown
}

// New makes a Progress that writes to out, by the clock now.
func New(out io.Writer, now func() time.Time) *Progress {
	return &Progress{out: out, now: now, bars: newBars(out), rates: map[string]*rate{}, ended: map[string]bool{}}
}

// Show shows the run as it is now.
func (p *Progress) Show(v api.RunDetail) {
	now := p.now()
	p.measure(now, v)
	ends := p.newEnds(v)
	if p.bars != nil && !v.State.Ended() {
		p.bars.show(ends, p.atWork(v), p.overview(v))
		return
	}
	p.Clear()
	for _, line := range ends {
		fmt.Fprintln(p.out, line)
	}
	if !v.State.Ended() && now.Sub(p.said) >= plainEvery {
		p.said = now
		fmt.Fprintln(p.out, "run "+string(v.ID)+": "+p.summary(v))
		if v.Waiting != "" {
			fmt.Fprintln(p.out, "run "+string(v.ID)+" waits: "+telemetry.Safe(v.Waiting))
		}
	}
}

// Clear takes the bars away, so that something else can be written.
func (p *Progress) Clear() {
	if p.bars != nil {
		p.bars.clear()
	}
}

// measure notes how much was moved by now.
func (p *Progress) measure(now time.Time, v api.RunDetail) {
	var moved int64
	for _, d := range v.Disks {
		r := p.rates[d.Key]
		if r == nil {
			r = &rate{}
			p.rates[d.Key] = r
		}
		r.add(now, bytesMoved(v.Kind, d.Stats))
		moved += bytesMoved(v.Kind, d.Stats)
	}
	p.sum.add(now, moved)
}

// newEnds is a line about each disk that has ended since the last view.
func (p *Progress) newEnds(v api.RunDetail) []string {
	var lines []string
	for _, d := range v.Disks {
		if d.Step == api.Ended && !p.ended[d.Key] {
			p.ended[d.Key] = true
			lines = append(lines, end(v.Kind, d))
		}
	}
	return lines
}
