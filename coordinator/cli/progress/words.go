package progress

import (
	"cmp"
	"fmt"
	"strings"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/text"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/telemetry"
)

// end is a line about a disk that has ended.
func end(kind job.Kind, d api.RunDisk) string {
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
	case kind == job.Verify:
		line += fmt.Sprintf(", %s of %s read and checked", telemetry.Bytes(d.Stats.ReadBytes), telemetry.Bytes(d.Capacity))
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
	return telemetry.Safe(line)
}

// summary is the whole run in words.
func (p *Progress) summary(v api.RunDetail) string {
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
	what := "disks"
	if v.Kind == job.Verify {
		what = "points"
	}
	s := fmt.Sprintf("%d of %d %s ended", over, len(v.Disks), what)
	if failed > 0 {
		s += fmt.Sprintf(", %d not done", failed)
	}
	if capacity > 0 {
		s += fmt.Sprintf(", %d%%", text.Percent(covered, capacity))
	}
	switch v.Kind {
	case job.Restore:
		s += ", " + telemetry.Bytes(v.Stats.WrittenBytes) + " written"
	case job.Verify:
		s += ", " + telemetry.Bytes(v.Stats.ReadBytes) + " read and checked"
	default:
		s += ", " + telemetry.Bytes(v.Stats.ReadBytes) + " read, " + telemetry.Bytes(v.Stats.StoredBytes) + " stored"
	}
	return s + ", " + perSecond(p.sum.perSecond())
}

// overview is the summary with what only a terminal shows, below the bars.
func (p *Progress) overview(v api.RunDetail) string {
	s, waiting := p.summary(v), 0
	for _, d := range v.Disks {
		if d.Step == api.Waiting {
			waiting++
		}
	}
	if waiting > 0 {
		s += fmt.Sprintf(", %d waiting", waiting)
	}
	if v.Cancelling {
		s += ", being cancelled"
	}
	return s
}

// atWork is a line for each disk at work, in the run's order, below one about what
// the run waits for.
func (p *Progress) atWork(v api.RunDetail) []line {
	var lines []line
	if v.Waiting != "" {
		lines = append(lines, line{text: telemetry.Safe(v.Waiting)})
	}
	for _, d := range v.Disks {
		if d.Step == api.Ended || d.Step == api.Waiting {
			continue
		}
		l := line{name: name(d)}
		if d.Capacity > 0 {
			l.percent = text.Percent(d.Stats.DiskBytes, d.Capacity)
		}
		l.text = fmt.Sprintf(" %3d%%  %-9s %8s", l.percent, d.Step, telemetry.Bytes(bytesMoved(v.Kind, d.Stats)))
		if d.Step == api.Moving {
			l.text += fmt.Sprintf(" %10s %s", perSecond(p.rates[d.Key].perSecond()), strings.Join(d.Transports, ","))
		}
		lines = append(lines, l)
	}
	return lines
}

// bytesMoved is what a disk's rate is measured by.
func bytesMoved(kind job.Kind, s ivd.Stats) int64 {
	if kind == job.Restore {
		return s.WrittenBytes
	}
	return s.ReadBytes
}

// name is what people call the disk: of a restore, the new one.
func name(d api.RunDisk) string { return text.Name(cmp.Or(d.Target, d.Name, string(d.ID), d.Key)) }
