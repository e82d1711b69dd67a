package progress

import (
	"fmt"
	"io"
	"strings"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/text"

	"ivdmover/shared/telemetry"
)

// What a terminal understands, by ECMA-48: cursor up n lines, erase below.
const (
	cursorUp   = "\x1b[%dA"
	eraseBelow = "\x1b[J"
)

// Columns of a bar's line: the name, the bar, and all that stands around them.
const (
	nameWidth = 18
	minBar    = 8
	maxBar    = 30
	restWidth = 48
)

func (p *Progress) clear() {
	if p.drawn > 0 {
		fmt.Fprintf(p.Out, cursorUp+"\r"+eraseBelow, p.drawn)
		p.drawn = 0
	}
}

// draw writes a line for each disk at work, as many as the terminal holds, and
// the sum. Nothing is drawn of a run that has ended.
func (p *Progress) draw(v api.RunDetail) {
	if v.State.Ended() {
		return
	}
	width, height := p.Size()
	var lines []string
	waiting := 0
	for _, d := range v.Disks {
		switch d.Step {
		case api.Ended:
		case api.Waiting:
			waiting++
		default:
			lines = append(lines, p.bar(v, d, min(maxBar, max(minBar, width-1-nameWidth-restWidth))))
		}
	}
	if room := max(1, height-3); len(lines) > room {
		left := len(lines) - room + 1
		lines = append(lines[:room-1], fmt.Sprintf("… and %d more disks at work", left))
	}
	sum := p.plain(v)
	if waiting > 0 {
		sum += fmt.Sprintf(", %d waiting", waiting)
	}
	if v.Cancelling {
		sum += ", being cancelled"
	}
	lines = append(lines, sum)
	for i, line := range lines {
		lines[i] = text.Cut(line, max(20, width-1)) // the last column makes some terminals wrap
	}
	_, _ = io.WriteString(p.Out, strings.Join(lines, "\n")+"\n")
	p.drawn = len(lines)
}

// bar is a disk's line: its name, how much of it is covered, what it does, what
// was read or written, how fast and by which transport.
func (p *Progress) bar(v api.RunDetail, d api.RunDisk, barWidth int) string {
	done := 0
	if d.Capacity > 0 {
		done = text.Percent(d.Stats.DiskBytes, d.Capacity)
	}
	filled := done * barWidth / 100
	line := fmt.Sprintf("%-*s [%s%s] %3d%%  %-9s %8s", nameWidth, text.Cut(name(d), nameWidth),
		strings.Repeat("=", filled), strings.Repeat(" ", barWidth-filled), done, d.Step, telemetry.Bytes(bytesMoved(v.Kind, d.Stats)))
	if d.Step == api.Moving {
		line += fmt.Sprintf(" %10s %s", perSecond(p.rates[d.ID].perSecond()), strings.Join(d.Transports, ","))
	}
	return strings.TrimRight(line, " ")
}
