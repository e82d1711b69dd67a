package schedule

import "time"

// day is a day of the calendar: its midnight, on a clock without zone.
type day struct{ time.Time }

// dayOf is the day on the clock of a zone.
func dayOf(at time.Time, zone *time.Location) day {
	y, m, d := at.In(zone).Date()
	return day{time.Date(y, m, d, 0, 0, 0, 0, time.UTC)}
}

func (d day) add(days int) day { return day{d.AddDate(0, 0, days)} }

// at is a time of the day, as the clock on the wall shows it, held as UTC.
func (d day) at(hour, minute int) time.Time {
	return d.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
}

// change is when clocks are set, and by how much: forward where that is more than 0.
type change struct {
	at time.Time
	by time.Duration
}

// touches reports whether a day has an end or a beginning beside the change: one that
// the change leaves out as a whole, as at the date line, is no day.
func (c change) touches(wall time.Time, zone *time.Location) bool {
	d := dayOf(wall, time.UTC)
	return d == dayOf(c.at, zone) || d == dayOf(c.at.Add(-time.Nanosecond), zone)
}

// reach is more than any clock is away from UTC.
const reach = 30 * time.Hour

// instants are when the clock of a zone shows a time, in their order: once, twice where
// it is set back, never where it is set forward. The change is the one that leaves the
// time out or repeats it.
func instants(wall time.Time, zone *time.Location) (at []time.Time, c change) {
	for period := wall.Add(-reach).In(zone); ; {
		start, end := period.ZoneBounds()
		this := wall.Add(-offset(period)).In(zone)
		if !this.Before(start) && (end.IsZero() || this.Before(end)) {
			at = append(at, this)
		}
		if end.IsZero() || end.After(wall.Add(reach)) {
			return at, c
		}
		by, next := offset(end)-offset(period), wall.Add(-offset(end))
		leaves := by > 0 && !this.Before(end) && next.Before(end)
		repeats := by < 0 && this.Before(end) && !next.Before(end)
		if leaves || repeats {
			c = change{end, by}
		}
		period = end
	}
}

func offset(at time.Time) time.Duration {
	_, seconds := at.Zone()
	return time.Duration(seconds) * time.Second
}
