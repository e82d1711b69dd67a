// Package schedule says when something fires that has a schedule, as cron writes it:
// minute, hour, day of the month, month and day of the week, on the clock of a time zone.
//
// Fields are matched on a calendar without zones, and what they name is then turned into
// instants. Where clocks are set forward, what they leave out fires at the moment of the
// change; where they are set back, what they repeat fires the first time. So each day that
// there is has each of its firings once. A schedule of every hour goes by real hours,
// whatever the clock calls them, as long as it is set by whole ones. The package is pure: it
// reads no clock.
package schedule

import (
	"iter"
	"slices"
	"time"
)

// Schedule is when something fires. The zero value never does.
type Schedule struct {
	fields fields
	zone   *time.Location
}

// Parse reads a schedule of five fields, or @hourly, @daily, @weekly, @monthly or @yearly,
// by the clock of a zone. What never fires is refused. Where both the day of the month and
// the day of the week are restricted, either is enough, as in cron.
func Parse(text string, zone *time.Location) (Schedule, error) {
	f, err := parse(text)
	return Schedule{f, zone}, err
}

// IsZero reports whether it never fires.
func (s Schedule) IsZero() bool { return s.zone == nil }

// Next is the first firing after an instant; the zero time where there is none.
func (s Schedule) Next(after time.Time) time.Time {
	if s.IsZero() {
		return time.Time{}
	}
	first, found := dayOf(after, s.zone).add(-1), time.Time{}
	for i := range horizon {
		if !found.IsZero() { // the day after it may begin before that one has ended, on clocks set back over midnight
			return earlier(found, s.firstAfter(first.add(i), after))
		}
		found = s.firstAfter(first.add(i), after)
	}
	return found
}

// Last is the last firing that is not after an instant; the zero time where there is none.
func (s Schedule) Last(until time.Time) time.Time {
	if s.IsZero() {
		return time.Time{}
	}
	last, found := dayOf(until, s.zone).add(1), time.Time{}
	for i := range horizon {
		before := !found.IsZero()
		for _, at := range slices.Backward(s.on(last.add(-i))) {
			if !at.After(until) {
				found = later(found, at)
				break
			}
		}
		if before {
			break
		}
	}
	return found
}

// After yields the firings after an instant, in their order.
func (s Schedule) After(at time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for at = s.Next(at); !at.IsZero() && yield(at); at = s.Next(at) {
		}
	}
}

// horizon is how many days are looked through: 29 February comes on each weekday within 40
// years.
const horizon = 41 * 366

func (s Schedule) firstAfter(d day, after time.Time) time.Time {
	for _, at := range s.on(d) {
		if at.After(after) {
			return at
		}
	}
	return time.Time{}
}

// on are the firings of a day, in their order and each once.
func (s Schedule) on(d day) []time.Time {
	if !s.fields.match(d) {
		return nil
	}
	var all []time.Time
	for hour := range s.fields.hour.all() {
		for minute := range s.fields.minute.all() {
			all = append(all, s.fire(d.at(hour, minute))...)
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return slices.CompactFunc(all, time.Time.Equal)
}

// fire are the instants at which a time on the clock fires.
func (s Schedule) fire(wall time.Time) []time.Time {
	at, change := instants(wall, s.zone)
	hourly := s.fields.hour == everyHour && change.by%time.Hour == 0
	switch {
	case len(at) > 0 && hourly:
		return at
	case len(at) > 0:
		return at[:1]
	case hourly || !change.touches(wall, s.zone):
		return nil
	}
	return []time.Time{change.at}
}

func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
