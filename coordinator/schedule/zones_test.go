package schedule_test

import (
	"fmt"
	"testing"
	"time"
	_ "time/tzdata" // a host without it has the same zones

	"ivdmover/coordinator/schedule"
)

// hard are zones whose clocks are set in every way that there is, and ten years of each.
var hard = []struct {
	zone string
	from int
}{
	{"Europe/Berlin", 2017},
	{"America/New_York", 2017},
	{"America/Havana", 2017},       // back from 01:00 to midnight
	{"America/Asuncion", 2015},     // forward from midnight, and back over it; ends in 2024
	{"Asia/Beirut", 2017},          // forward from midnight, back over it
	{"Africa/Cairo", 2017},         // none until 2023, then forward from midnight
	{"Africa/Casablanca", 2017},    // back for Ramadan, twice a year at other dates
	{"America/Scoresbysund", 2017}, // forward from 23:00 over midnight since 2024
	{"America/Nuuk", 2017},
	{"Antarctica/Troll", 2017},    // by two hours
	{"Australia/Lord_Howe", 2017}, // by half an hour
	{"Pacific/Apia", 2010},        // 30 December 2011 was none
	{"Asia/Pyongyang", 2012},      // half an hour back, and forward again from 23:30 over midnight
	{"America/Caracas", 2010},     // forward by half an hour, once
	{"America/St_Johns", 2002},    // forward from 00:01, back at 00:01 over midnight
}

func load(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func parse(t *testing.T, text string, zone *time.Location) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(text, zone)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wall is what a clock shows, held as UTC.
func wall(at time.Time) time.Time {
	y, mo, d := at.Date()
	h, m, s := at.Clock()
	return time.Date(y, mo, d, h, m, s, 0, time.UTC)
}

func midnight(wall time.Time) time.Time { return wall.Truncate(24 * time.Hour) }

// Each day that there is has each firing once, in the order of the days: at its time, the
// first time that the clock shows it, or where the clock leaves it out at the change.
func TestNoDayIsMissedOrDoubled(t *testing.T) {
	t.Parallel()
	for _, h := range hard {
		zone := load(t, h.zone)
		from := time.Date(h.from, 1, 1, 0, 0, 0, 0, zone)
		end := from.AddDate(10, 0, 0)
		var days []time.Time // that there are
		for at := from; at.Before(end); at = at.Add(3 * time.Hour) {
			if day := midnight(wall(at)); len(days) == 0 || day.After(days[len(days)-1]) {
				days = append(days, day)
			}
		}
		for _, clock := range []string{"00:00", "00:30", "01:00", "01:30", "02:10", "02:30", "05:30", "23:45"} {
			var hour, minute int
			_, _ = fmt.Sscanf(clock, "%d:%d", &hour, &minute)
			s := parse(t, fmt.Sprintf("%d %d * * *", minute, hour), zone)
			at := from.Add(-time.Minute)
			for _, day := range days {
				before := at
				at = s.Next(at)
				want := day.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
				if !at.After(before) || !firesAt(at.In(zone), want) {
					t.Fatalf("%s: what is due %s fires at %s, after %s", h.zone, want.Format("2006-01-02 15:04"), at.In(zone), before.In(zone))
				}
			}
		}
	}
}

// firesAt reports whether an instant is the one for a time on the clock.
func firesAt(at, want time.Time) bool {
	start, _ := at.ZoneBounds()
	before := wall(start.Add(-time.Second).In(at.Location()))
	if wall(at).Equal(want) {
		return at.Sub(start) >= 24*time.Hour || before.Before(want) // else it was shown before
	}
	return at.Equal(start) && before.Before(want) && want.Before(wall(at))
}

// changes are the moments in ten years at which the clocks of a zone are set.
func changes(zone *time.Location, from int) (list []time.Time) {
	at := time.Date(from, 1, 1, 0, 0, 0, 0, zone)
	for end := at.AddDate(10, 0, 0); ; {
		_, next := at.ZoneBounds()
		if next.IsZero() || !next.Before(end) {
			return list
		}
		at = next
		list = append(list, at)
	}
}

// What fires every hour does so each real hour, where clocks are set by whole ones.
// Elsewhere each time of the clock has its firing.
func TestEveryHour(t *testing.T) {
	t.Parallel()
	half := 0
	for _, h := range hard {
		zone := load(t, h.zone)
		hourly, halves := parse(t, "10 * * * *", zone), parse(t, "10,40 * * * *", zone)
		for _, c := range changes(zone, h.from) {
			_, before := c.Add(-time.Second).Zone()
			_, after := c.Zone()
			whole := (after-before)%3600 == 0
			if !whole {
				half++
			}
			for _, x := range []struct {
				s  schedule.Schedule
				by time.Duration
			}{{hourly, time.Hour}, {halves, 30 * time.Minute}} {
				at := x.s.Last(c.Add(-2 * time.Hour))
				for at.Before(c.Add(2 * time.Hour)) {
					next := x.s.Next(at)
					wait := next.Sub(at)
					if last := x.s.Last(next.Add(-time.Second)); !last.Equal(at) {
						t.Fatalf("%s: before %s is %s, not %s", h.zone, next.In(zone), last.In(zone), at.In(zone))
					}
					switch {
					case whole && wait != x.by, wait <= 0, wait > x.by+30*time.Minute:
						t.Fatalf("%s: %s after %s", h.zone, next.In(zone), at.In(zone))
					case !whole && wall(next.In(zone)).Sub(wall(at.In(zone))) <= 0:
						t.Fatalf("%s: %s again, or earlier, after %s", h.zone, next.In(zone), at.In(zone))
					}
					at = next
				}
			}
		}
	}
	if half < 20 {
		t.Errorf("%d changes by half an hour: this shows nothing", half)
	}
}

// Schedules of some hours keep the count of a day's firings where clocks are set.
func TestSomeHours(t *testing.T) {
	zone := load(t, "Europe/Berlin")
	s := parse(t, "0 */2 * * *", zone)
	for _, day := range []time.Time{time.Date(2026, 3, 29, 0, 0, 0, 0, zone), time.Date(2026, 10, 25, 0, 0, 0, 0, zone), time.Date(2026, 7, 1, 0, 0, 0, 0, zone)} {
		n := 0
		for at := range s.After(day.Add(-time.Second)) {
			if !at.Before(day.AddDate(0, 0, 1)) {
				break
			}
			n++
		}
		if n != 12 {
			t.Errorf("%s: %d firings, want 12", day, n)
		}
	}
	// What the change leaves out together fires together.
	at := parse(t, "*/20 2 * * *", zone).Next(time.Date(2026, 3, 28, 12, 0, 0, 0, zone))
	if want := time.Date(2026, 3, 29, 3, 0, 0, 0, zone); !at.Equal(want) {
		t.Errorf("%s, want %s", at, want)
	}
	if next := parse(t, "*/20 2 * * *", zone).Next(at); next.Sub(at) < 20*time.Hour {
		t.Errorf("then again at %s", next)
	}
}

// Clocks that are set back over midnight show the next day before this one has ended.
func TestBackOverMidnight(t *testing.T) {
	zone := load(t, "America/St_Johns")
	s := parse(t, "0,10 * * * *", zone)
	at := time.Date(2010, 11, 6, 23, 5, 0, 0, zone)
	for _, want := range []string{"06 23:10 NDT", "07 00:00 NDT", "06 23:10 NST", "07 00:00 NST", "07 00:10 NST"} {
		before := at
		at = s.Next(before)
		if got := at.In(zone).Format("02 15:04 MST"); got != want || !s.Last(at).Equal(at) || s.Last(at.Add(-time.Second)).After(before) {
			t.Errorf("%s, want %s; before it is %s", got, want, s.Last(at.Add(-time.Second)))
		}
		if before = s.Last(s.Next(at).Add(-time.Second)); !before.Equal(at) {
			t.Errorf("the last one before the next one is %s, want %s", before.In(zone), at.In(zone))
		}
	}
}
