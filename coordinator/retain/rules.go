package retain

import (
	"fmt"
	"slices"
	"time"
)

// Rules are what a policy keeps of each disk. All zero: every point.
type Rules struct {
	Last                                   int // the newest points
	Hourly, Daily, Weekly, Monthly, Yearly int // the newest point of each of the last so many hours and so on that have one
	Within                                 time.Duration
	Zone                                   *time.Location // whose hours, days and so on; nil: UTC
}

// Empty reports whether the rules keep every point.
func (r Rules) Empty() bool {
	return r.Last <= 0 && r.Hourly <= 0 && r.Daily <= 0 && r.Weekly <= 0 && r.Monthly <= 0 && r.Yearly <= 0 && r.Within <= 0
}

// rule keeps the newest point of each of some periods.
type rule struct {
	name   string
	count  int
	period func(local time.Time, n int) string // that a point is in; n counts the points
}

func (r Rules) periods() []rule {
	by := func(layout string) func(time.Time, int) string {
		return func(t time.Time, _ int) string { return t.Format(layout) }
	}
	return []rule{
		{"last", r.Last, func(_ time.Time, n int) string { return fmt.Sprint(n) }},
		{"hourly", r.Hourly, by("2006-01-02T15 -07:00:00")}, // an hour that comes twice is two
		{"daily", r.Daily, by("2006-01-02")},
		{"weekly", r.Weekly, func(t time.Time, _ int) string { y, w := t.ISOWeek(); return fmt.Sprint(y, w) }},
		{"monthly", r.Monthly, by("2006-01")},
		{"yearly", r.Yearly, by("2006")},
	}
}

// count keeps what the rules keep of points, which come the newest first. A damaged point
// takes no other one's place: it stays where it would if nothing were known of its damage.
func (r Rules) count(points []*Verdict) {
	whole := slices.DeleteFunc(slices.Clone(points), damaged)
	r.countAll(whole, func(*Verdict) bool { return true })
	if len(whole) < len(points) {
		r.countAll(points, damaged)
	}
}

func damaged(v *Verdict) bool { return v.Known == Damaged }

// countAll counts points, and keeps those of them that are meant.
func (r Rules) countAll(points []*Verdict, meant func(*Verdict) bool) {
	zone := r.Zone
	if zone == nil {
		zone = time.UTC
	}
	for _, x := range r.periods() {
		kept, last := 0, ""
		for n, v := range points {
			if kept >= x.count {
				break
			}
			period, reason := x.period(v.At.In(zone), n), ""
			if period == last {
				if n < len(points)-1 {
					continue
				}
				reason = ", the oldest point"
			}
			kept, last = kept+1, period
			if meant(v) {
				v.stay(fmt.Sprintf("%s %d of %d%s", x.name, kept, x.count, reason))
			}
		}
	}
	for _, v := range points {
		if r.Within > 0 && meant(v) && v.At.After(points[0].At.Add(-r.Within)) {
			v.stay("within " + span(r.Within) + " of the newest")
		}
	}
}

// span is a duration in days where it is whole days.
func span(d time.Duration) string {
	if day := 24 * time.Hour; d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return d.String()
}
