package retain_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ivdmover/coordinator/retain"
	"ivdmover/shared/ivd"
)

// zones have days of 23, 24 and 25 hours, offsets of half and quarter hours, a change of
// the clock by half an hour, and a day that never was.
var zones = []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati"}

func drawZone(t *rapid.T) *time.Location {
	z, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func drawRules(t *rapid.T) retain.Rules {
	n := func(name string) int { return rapid.SampledFrom([]int{0, 0, 1, 2, 3, 7}).Draw(t, name) }
	return retain.Rules{
		Last: n("last"), Hourly: n("hourly"), Daily: n("daily"), Weekly: n("weekly"), Monthly: n("monthly"), Yearly: n("yearly"),
		Within: rapid.SampledFrom([]time.Duration{0, 0, time.Hour, 49 * time.Hour, 30 * 24 * time.Hour}).Draw(t, "within"), Zone: drawZone(t),
	}
}

// drawPoints makes points of a disk: close together around moments at which clocks and
// years change, and far apart.
func drawPoints(t *rapid.T) []retain.Point {
	anchors := []time.Time{
		time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC), // Berlin
		time.Date(2026, 4, 4, 15, 0, 0, 0, time.UTC), time.Date(2011, 12, 30, 10, 0, 0, 0, time.UTC), // Lord Howe, Apia
		time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC), time.Date(2027, 1, 3, 12, 0, 0, 0, time.UTC),
	}
	var points []retain.Point
	for i := range rapid.IntRange(0, 40).Draw(t, "points") {
		step := rapid.SampledFrom([]time.Duration{time.Minute, 20 * time.Minute, time.Hour, 24 * time.Hour, 200 * time.Hour}).Draw(t, "step")
		p := retain.Point{
			ID:     ivd.PointID(fmt.Sprintf("%02d", i)),
			At:     rapid.SampledFrom(anchors).Draw(t, "anchor").Add(time.Duration(rapid.IntRange(-30, 30).Draw(t, "steps")) * step),
			Policy: rapid.SampledFrom([]string{"nightly", "nightly", "nightly", "other", ""}).Draw(t, "policy"),
			Known:  rapid.SampledFrom([]retain.Known{retain.Checked, retain.Checked, retain.Proven, retain.Damaged, retain.Unreadable}).Draw(t, "known"),
		}
		p.Partial = rapid.IntRange(0, 9).Draw(t, "partial") == 0
		p.Forgotten = rapid.IntRange(0, 5).Draw(t, "forgotten") == 0
		if rapid.IntRange(0, 9).Draw(t, "kept") == 0 {
			p.Kept = "pinned"
		}
		points = append(points, p)
	}
	return points
}

// stays are the ids of what stays.
func stays(verdicts []retain.Verdict) map[ivd.PointID]bool {
	ids := map[ivd.PointID]bool{}
	for _, v := range verdicts {
		if v.Stays {
			ids[v.ID] = true
		}
	}
	return ids
}

// forget gives up what goes, as the repository has it: a record beside the point.
func forget(points []retain.Point, verdicts []retain.Verdict) []retain.Point {
	kept := stays(verdicts)
	after := slices.Clone(points)
	for _, v := range verdicts {
		i := slices.IndexFunc(after, func(p retain.Point) bool { return p.ID == v.ID })
		after[i].Forgotten = after[i].Forgotten || !kept[v.ID]
	}
	return after
}

// Asked again, the same rules give nothing more up, whether a collection has deleted what
// went or not.
func TestIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points, rules := drawPoints(t), drawRules(t)
		first := retain.Decide(points, "nightly", rules)
		after := forget(points, first)
		for what, left := range map[string][]retain.Point{"before a collection": after, "after it": retain.Standing(after)} {
			for _, v := range retain.Decide(left, "nightly", rules) {
				if !v.Stays {
					t.Fatalf("%s %s is given up the second time, %v", what, v.ID, v.Reasons)
				}
				if !stays(first)[v.ID] {
					t.Fatalf("%s %s, which was given up, stays", what, v.ID)
				}
			}
		}
	})
}

// Rules that keep more keep what the others keep.
func TestMoreGenerousRulesKeepASuperset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points, rules := drawPoints(t), drawRules(t)
		if rules.Empty() {
			rules.Last = 1
		}
		more := rules
		add := func(n *int) { *n += rapid.IntRange(0, 3).Draw(t, "more") }
		for _, n := range []*int{&more.Last, &more.Hourly, &more.Daily, &more.Weekly, &more.Monthly, &more.Yearly} {
			add(n)
		}
		more.Within += time.Duration(rapid.IntRange(0, 50).Draw(t, "longer")) * time.Hour
		if rapid.IntRange(0, 9).Draw(t, "all") == 0 {
			more = retain.Rules{}
		}
		kept := stays(retain.Decide(points, "nightly", more))
		for id := range stays(retain.Decide(points, "nightly", rules)) {
			if !kept[id] {
				t.Fatalf("%s stays under %+v, and not under %+v", id, rules, more)
			}
		}
	})
}

// However the rules are changed from run to run, the zone with them, and whoever gives
// points up beside them, what must stay stays.
func TestNeverTheLastGoodPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := drawPoints(t)
		for range rapid.IntRange(1, 5).Draw(t, "runs") {
			before := retain.Standing(points)
			verdicts := retain.Decide(points, "nightly", drawRules(t))
			if rapid.Bool().Draw(t, "by hand") {
				chosen := map[ivd.PointID]bool{}
				for _, p := range points {
					chosen[p.ID] = rapid.Bool().Draw(t, "chosen")
				}
				verdicts = retain.Ask(points, chosen)
			}
			points = forget(points, verdicts)
			left := map[ivd.PointID]bool{}
			for _, p := range retain.Standing(points) {
				left[p.ID] = true
			}
			var best retain.Point
			for _, p := range before { // the newest first
				if p.Kept != "" || p.Known == retain.Unreadable {
					if !left[p.ID] {
						t.Fatalf("%+v is gone", p)
					}
				}
				if !p.Partial && p.Known > best.Known {
					best = p
				}
			}
			if best.ID != "" && !left[best.ID] {
				t.Fatalf("the last good point %+v is gone", best)
			}
		}
	})
}

// Coordinators that decide at the same moment, by different rules, leave a good point.
func TestTwoDecideAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := drawPoints(t)
		best := func(points []retain.Point) (k retain.Known) {
			for _, p := range points {
				if !p.Partial {
					k = max(k, p.Known)
				}
			}
			return k
		}
		before := best(retain.Standing(points))
		after := points
		for range 3 { // each decides by what was there before
			var chosen map[ivd.PointID]bool
			verdicts := retain.Decide(points, rapid.SampledFrom([]string{"nightly", "other"}).Draw(t, "whose"), drawRules(t))
			if rapid.Bool().Draw(t, "by hand") {
				chosen = map[ivd.PointID]bool{}
				for _, p := range points {
					chosen[p.ID] = rapid.Bool().Draw(t, "chosen")
				}
				verdicts = retain.Ask(points, chosen)
			}
			after = forget(after, verdicts)
		}
		if got := best(retain.Standing(after)); got < before {
			t.Fatalf("of the best points, of which %d was known, none is left: %d", before, got)
		}
	})
}

// bucket is the hour, day, week, month or year of a moment, by its numbers.
func bucket(rule string, at time.Time, zone *time.Location) [6]int {
	l := at.In(zone)
	_, offset := l.Zone()
	year, week := l.ISOWeek()
	return map[string][6]int{
		"hourly": {l.Year(), int(l.Month()), l.Day(), l.Hour(), offset}, "daily": {l.Year(), int(l.Month()), l.Day()},
		"weekly": {year, week}, "monthly": {l.Year(), int(l.Month())}, "yearly": {l.Year()},
	}[rule]
}

// Each rule alone keeps the newest point of each of the newest periods that have one, and
// with counts left over the oldest of all; together they keep what each keeps.
func TestRulesByTheirDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points, rules := drawPoints(t), drawRules(t)
		if rules.Empty() {
			return
		}
		for i := range points { // what stays for another reason is tested elsewhere
			points[i].Policy, points[i].Partial, points[i].Forgotten, points[i].Kept, points[i].Known = "nightly", false, false, "", retain.Checked
		}
		slices.SortFunc(points, func(a, b retain.Point) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID)) })
		want := map[ivd.PointID]bool{}
		for i, p := range points {
			if i == 0 { // the last good one
				want[p.ID] = true
			}
			if i < rules.Last || rules.Within > 0 && points[0].At.Sub(p.At) < rules.Within {
				want[p.ID] = true
			}
		}
		for rule, n := range map[string]int{"hourly": rules.Hourly, "daily": rules.Daily, "weekly": rules.Weekly, "monthly": rules.Monthly, "yearly": rules.Yearly} {
			newest := map[[6]int]ivd.PointID{}
			for _, p := range points {
				b := bucket(rule, p.At, rules.Zone)
				if _, known := newest[b]; !known && len(newest) < n {
					newest[b] = p.ID
					want[p.ID] = true
				}
			}
			if len(newest) < n && len(points) > 0 {
				want[points[len(points)-1].ID] = true
			}
		}
		got := stays(retain.Decide(points, "nightly", rules))
		for _, p := range points {
			if got[p.ID] != want[p.ID] {
				t.Fatalf("%s of %s stays: %t, want %t", p.ID, p.At.In(rules.Zone), got[p.ID], want[p.ID])
			}
		}
	})
}
