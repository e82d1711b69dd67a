package retain_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/retain"
	"ivdmover/shared/ivd"
)

// at is a moment of a zone.
func at(t *testing.T, zone *time.Location, text string) time.Time {
	t.Helper()
	m, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// whole is a point of the policy that is tested, called by a word.
func whole(id string, when time.Time) retain.Point {
	return retain.Point{ID: ivd.PointID(id), At: when, Policy: "nightly", Known: retain.Checked}
}

// table says of each point, in the order given, by what it stays, or why it goes.
func table(verdicts []retain.Verdict) string {
	var b strings.Builder
	for _, v := range verdicts {
		mark := "goes:"
		if v.Stays {
			mark = "stays:"
		}
		fmt.Fprintln(&b, v.ID, mark, strings.Join(v.Reasons, "; "))
	}
	return b.String()
}

func wantTable(t *testing.T, got []retain.Verdict, want string) {
	t.Helper()
	var trimmed []string
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			trimmed = append(trimmed, line+"\n")
		}
	}
	if w := strings.Join(trimmed, ""); table(got) != w {
		t.Errorf("got\n%swant\n%s", table(got), w)
	}
}

// The cases of counting: what a rule counts are periods that have a point, the newest
// point of each, and with counts left over the oldest point; one rule does not skip what
// another one keeps.
func TestCounting(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	points := func(zone *time.Location, moments ...string) (all []retain.Point) {
		for _, m := range moments {
			all = append(all, whole(strings.ReplaceAll(m, " ", "T"), at(t, zone, m)))
		}
		return all
	}
	for what, c := range map[string]struct {
		rules  retain.Rules
		points []retain.Point
		want   string
	}{
		"the newest ones": {
			retain.Rules{Last: 2}, points(time.UTC, "2026-01-01 22:00", "2026-01-02 22:00", "2026-01-03 22:00"), `
			2026-01-03T22:00 stays: last 1 of 2; the last good point of its disk
			2026-01-02T22:00 stays: last 2 of 2
			2026-01-01T22:00 goes: policy nightly keeps it by none of its rules`,
		},
		"days that have a point, whatever lies between": {
			retain.Rules{Daily: 3}, points(time.UTC, "2024-02-01 10:00", "2025-06-01 10:00", "2026-01-03 09:00", "2026-01-03 22:00"), `
			2026-01-03T22:00 stays: daily 1 of 3; the last good point of its disk
			2026-01-03T09:00 goes: policy nightly keeps it by none of its rules
			2025-06-01T10:00 stays: daily 2 of 3
			2024-02-01T10:00 stays: daily 3 of 3`,
		},
		"the oldest, where counts are left over": {
			retain.Rules{Daily: 3}, points(time.UTC, "2026-01-03 01:00", "2026-01-03 09:00", "2026-01-03 22:00"), `
			2026-01-03T22:00 stays: daily 1 of 3; the last good point of its disk
			2026-01-03T09:00 goes: policy nightly keeps it by none of its rules
			2026-01-03T01:00 stays: daily 2 of 3, the oldest point`,
		},
		"not the oldest, where none are": {
			retain.Rules{Daily: 1}, points(time.UTC, "2026-01-03 01:00", "2026-01-03 22:00"), `
			2026-01-03T22:00 stays: daily 1 of 1; the last good point of its disk
			2026-01-03T01:00 goes: policy nightly keeps it by none of its rules`,
		},
		"several rules": {
			retain.Rules{Last: 1, Weekly: 2, Monthly: 2, Yearly: 2}, points(time.UTC, "2025-12-28 22:00", "2025-12-31 22:00", "2026-01-01 22:00"), `
			2026-01-01T22:00 stays: last 1 of 1; weekly 1 of 2; monthly 1 of 2; yearly 1 of 2; the last good point of its disk
			2025-12-31T22:00 stays: monthly 2 of 2; yearly 2 of 2
			2025-12-28T22:00 stays: weekly 2 of 2`,
		},
		"weeks at the turn of the year are ISO's": {
			retain.Rules{Weekly: 5}, points(time.UTC, "2026-12-27 12:00", "2026-12-28 12:00", "2026-12-31 12:00", "2027-01-03 12:00", "2027-01-04 12:00"), `
			2027-01-04T12:00 stays: weekly 1 of 5; the last good point of its disk
			2027-01-03T12:00 stays: weekly 2 of 5
			2026-12-31T12:00 goes: policy nightly keeps it by none of its rules
			2026-12-28T12:00 goes: policy nightly keeps it by none of its rules
			2026-12-27T12:00 stays: weekly 3 of 5`,
		},
		"the hour that comes twice is two": {
			retain.Rules{Hourly: 9, Zone: berlin}, []retain.Point{
				whole("first", time.Date(2026, 10, 25, 0, 10, 0, 0, time.UTC)),
				whole("early", time.Date(2026, 10, 25, 0, 50, 0, 0, time.UTC)), // 02:50, summer time
				whole("late", time.Date(2026, 10, 25, 1, 10, 0, 0, time.UTC)),  // 02:10, winter time
			}, `
			late stays: hourly 1 of 9; the last good point of its disk
			early stays: hourly 2 of 9
			first stays: hourly 3 of 9, the oldest point`,
		},
		"a day of 25 hours is one": {
			retain.Rules{Daily: 2, Zone: berlin}, []retain.Point{
				whole("before", at(t, berlin, "2026-10-24 23:59")),
				whole("begins", at(t, berlin, "2026-10-25 00:00")),
				whole("ends", at(t, berlin, "2026-10-25 23:59")),
			}, `
			ends stays: daily 1 of 2; the last good point of its disk
			begins goes: policy nightly keeps it by none of its rules
			before stays: daily 2 of 2`,
		},
		"a day of 23 hours is one": {
			retain.Rules{Daily: 3, Zone: berlin}, []retain.Point{
				whole("before", at(t, berlin, "2026-03-28 23:59")),
				whole("begins", at(t, berlin, "2026-03-29 00:00")),
				whole("ends", at(t, berlin, "2026-03-29 23:59")),
				whole("after", at(t, berlin, "2026-03-30 00:00")),
			}, `
			after stays: daily 1 of 3; the last good point of its disk
			ends stays: daily 2 of 3
			begins goes: policy nightly keeps it by none of its rules
			before stays: daily 3 of 3`,
		},
		"the policy's zone says which day it is": {
			retain.Rules{Daily: 2, Zone: berlin}, []retain.Point{
				whole("days before", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
				whole("evening", time.Date(2026, 1, 3, 22, 30, 0, 0, time.UTC)), // 23:30 of the 3rd
				whole("night", time.Date(2026, 1, 3, 23, 30, 0, 0, time.UTC)),   // 00:30 of the 4th
			}, `
			night stays: daily 1 of 2; the last good point of its disk
			evening stays: daily 2 of 2
			days before goes: policy nightly keeps it by none of its rules`,
		},
		"within is counted from the newest point": {
			retain.Rules{Within: 48 * time.Hour}, points(time.UTC, "2020-01-01 10:00", "2020-01-01 11:00", "2020-01-03 10:00"), `
			2020-01-03T10:00 stays: within 2d of the newest; the last good point of its disk
			2020-01-01T11:00 stays: within 2d of the newest
			2020-01-01T10:00 goes: policy nightly keeps it by none of its rules`,
		},
		"no rule keeps everything": {
			retain.Rules{}, points(time.UTC, "2020-01-01 10:00", "2020-01-01 11:00"), `
			2020-01-01T11:00 stays: its policy keeps every point; the last good point of its disk
			2020-01-01T10:00 stays: its policy keeps every point`,
		},
	} {
		t.Run(what, func(t *testing.T) {
			wantTable(t, retain.Decide(c.points, "nightly", c.rules), c.want)
		})
	}
}

// What bears on a point beside the rules.
func TestWhatStaysWhateverTheRulesSay(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 22, 0, 0, 0, time.UTC) }
	change := func(p retain.Point, changes ...func(*retain.Point)) retain.Point {
		for _, c := range changes {
			c(&p)
		}
		return p
	}
	known := func(k retain.Known) func(*retain.Point) { return func(p *retain.Point) { p.Known = k } }
	partial := func(p *retain.Point) { p.Partial = true }
	forgotten := func(p *retain.Point) { p.Forgotten = true }
	pinned := func(p *retain.Point) { p.Kept = "pinned" }
	of := func(policy string) func(*retain.Point) { return func(p *retain.Point) { p.Policy = policy } }
	none := "goes: policy nightly keeps it by none of its rules"
	for what, c := range map[string]struct {
		points []retain.Point
		want   string
	}{
		"the last good point": {
			[]retain.Point{whole("old", day(1)), whole("good", day(2)), change(whole("bad", day(3)), known(retain.Damaged))}, `
			bad stays: last 1 of 1
			good stays: last 1 of 1; the last good point of its disk
			old ` + none,
		},
		"the last proven point, and the newest": {
			[]retain.Point{change(whole("first", day(1)), known(retain.Proven)), change(whole("proven", day(2)), known(retain.Proven)), whole("between", day(3)), whole("new", day(4))}, `
			new stays: last 1 of 1
			between ` + none + `
			proven stays: the last good point of its disk
			first ` + none,
		},
		"the least damaged, where all are": {
			[]retain.Point{change(whole("old", day(1)), known(retain.Damaged)), change(whole("new", day(2)), known(retain.Damaged)), change(whole("partial", day(3)), partial)}, `
			partial stays: the newest partial point, and no whole one came after it
			new stays: last 1 of 1; the last good point of its disk
			old ` + none,
		},
		"pinned points, which are counted": {
			[]retain.Point{change(whole("old", day(1)), pinned), whole("middle", day(2)), change(whole("new", day(3)), pinned)}, `
			new stays: pinned; last 1 of 1; the last good point of its disk
			middle ` + none + `
			old stays: pinned`,
		},
		"points of others": {
			[]retain.Point{change(whole("hourly", day(1)), of("hourly")), whole("old", day(2)), change(whole("by hand", day(3)), of("")), whole("new", day(4))}, `
			new stays: last 1 of 1; the last good point of its disk
			by hand stays: of no policy
			old ` + none + `
			hourly stays: of another policy`,
		},
		"what cannot be read": {
			[]retain.Point{change(whole("lost", day(1)), known(retain.Unreadable)), whole("new", day(4))}, `
			new stays: last 1 of 1; the last good point of its disk
			lost stays: it cannot be read`,
		},
		"partial points: only the newest, until a whole one comes": {
			[]retain.Point{
				change(whole("p1", day(1)), partial), whole("whole", day(2)), change(whole("p2", day(3)), partial),
				change(whole("p3", day(3).Add(time.Hour)), partial, pinned), change(whole("p4", day(4)), partial), change(whole("bad", day(5)), known(retain.Damaged)),
			}, `
			bad stays: last 1 of 1
			p4 stays: the newest partial point, and no whole one came after it
			p3 stays: pinned
			p2 goes: a later partial point goes on from it
			whole stays: last 1 of 1; the last good point of its disk
			p1 goes: a later partial point goes on from it`,
		},
		"a partial point before a whole one": {
			[]retain.Point{change(whole("p1", day(1)), partial), whole("whole", day(2))}, `
			whole stays: last 1 of 1; the last good point of its disk
			p1 goes: a whole point came after it`,
		},
		"what was given up is not counted, nor told of": {
			[]retain.Point{whole("old", day(1)), change(whole("gone", day(2)), forgotten), change(whole("saved", day(3)), forgotten, pinned), whole("new", day(4))}, `
			new stays: last 1 of 1; the last good point of its disk
			saved stays: pinned
			old ` + none,
		},
		"the last good point, though it was given up": {
			[]retain.Point{change(whole("a", day(1)), forgotten), change(whole("b", day(2)), forgotten), change(whole("bad", day(3)), known(retain.Damaged))}, `
			bad stays: last 1 of 1
			b stays: the last good point of its disk`,
		},
		"a point that was given up is not the last good one where another is left": {
			[]retain.Point{whole("old", day(1)), change(whole("gone", day(2)), forgotten)}, `
			old stays: last 1 of 1; the last good point of its disk`,
		},
		"nothing": {nil, ""},
	} {
		t.Run(what, func(t *testing.T) {
			wantTable(t, retain.Decide(c.points, "nightly", retain.Rules{Last: 1}), c.want)
		})
	}
}

// What a person wants to give up.
func TestAsk(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 22, 0, 0, 0, time.UTC) }
	old, pinned, gone, lost, last := whole("old", day(1)), whole("pinned", day(2)), whole("gone", day(3)), whole("lost", day(4)), whole("new", day(5))
	pinned.Kept, gone.Forgotten, lost.Known = "pinned", true, retain.Unreadable
	points := []retain.Point{last, gone, pinned, old, lost}
	all := map[ivd.PointID]bool{"old": true, "pinned": true, "gone": true, "lost": true, "new": true}
	wantTable(t, retain.Ask(points, all), `
		new stays: the last good point of its disk
		lost stays: it cannot be read
		pinned stays: pinned
		old goes: asked for`)
	wantTable(t, retain.Ask(points, map[ivd.PointID]bool{"old": true}), `old goes: asked for`)
	if got := retain.Ask(points, nil); len(got) != 0 {
		t.Errorf("nothing was asked for, and got %v", got)
	}
}

// Points of one moment are in one order, whichever way they come.
func TestPointsOfOneMoment(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a, b := whole("a", now), whole("b", now)
	for _, points := range [][]retain.Point{{a, b}, {b, a}} {
		before := slices.Clone(points)
		wantTable(t, retain.Decide(points, "nightly", retain.Rules{Daily: 1}), `
			b stays: daily 1 of 1; the last good point of its disk
			a goes: policy nightly keeps it by none of its rules`)
		if !slices.Equal(points, before) {
			t.Error("the caller's points were changed")
		}
	}
}
