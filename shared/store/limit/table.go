package limit

import (
	"slices"
	"time"
)

// Rates are limits of one moment: of all requests of a process together. What is 0 has
// no limit.
type Rates struct {
	Upload   int64 // bytes a second
	Download int64 // bytes a second
	Requests int64 // a second
}

// Hours are limits of some hours of the week, by the clock on the wall. Hours that begin
// later in the day than they end go on to the next day.
type Hours struct {
	Days     []time.Weekday // on which they begin; empty: each
	From, To int            // minutes of the day; the same: all day
	Rates    Rates
}

// Table says which limits hold when.
type Table struct {
	Usual Rates
	Hours []Hours        // the first that a moment lies in counts
	Zone  *time.Location // whose clock is meant; nil: this host's
}

// None reports whether the table never limits anything.
func (t Table) None() bool {
	return t.Usual == Rates{} && !slices.ContainsFunc(t.Hours, func(h Hours) bool { return h.Rates != Rates{} })
}

// At is what holds at a moment.
func (t Table) At(moment time.Time) Rates {
	if t.Zone != nil {
		moment = moment.In(t.Zone)
	}
	for _, h := range t.Hours {
		if h.contain(moment) {
			return h.Rates
		}
	}
	return t.Usual
}

func (h Hours) contain(moment time.Time) bool {
	minute, day := moment.Hour()*60+moment.Minute(), moment.Weekday()
	switch {
	case h.From == h.To:
		return h.on(day)
	case h.From < h.To:
		return h.From <= minute && minute < h.To && h.on(day)
	}
	yesterday := (day + 6) % 7
	return minute >= h.From && h.on(day) || minute < h.To && h.on(yesterday)
}

func (h Hours) on(day time.Weekday) bool { return len(h.Days) == 0 || slices.Contains(h.Days, day) }
