package cost_test

import (
	"math"
	"testing"
	"time"

	"ivdmover/coordinator/cost"
	"ivdmover/coordinator/retain"
	"ivdmover/shared/ivd"
)

var (
	packs  = cost.Packs{PackSize: 16 << 20}
	usual  = cost.Assumptions{Used: 0.5, Stored: 0.5, Change: 0.02, RunsPerDay: 1}
	estate = []int64{100 << 30, 200 << 30, 1 << 40}
)

// What is stored is what is assumed, and its packs; later runs store what changes.
func TestForecast(t *testing.T) {
	f := cost.Of(estate, packs, usual, retain.Rules{Daily: 14}, cost.Upkeep{})
	content := float64(f.Capacity) * usual.Used
	for what, c := range map[string]struct{ got, want float64 }{
		"stored by the first run": {float64(f.First.Stored), content * usual.Stored},
		"by the next":             {float64(f.Next.Stored), content * usual.Change * usual.Stored},
		"objects of the first":    {float64(f.First.Objects), content * usual.Stored / (16 << 20)},
		"at the end of a month":   {float64(f.FirstMonth.Stored), content * usual.Stored * (1 + 13*usual.Change)},
		"requests of the first":   {float64(f.First.Requests.Put), content * usual.Stored / (16 << 20)},
	} {
		if c.got < c.want || c.got > c.want*1.02 {
			t.Errorf("%s: %g, want %g or little more", what, c.got, c.want)
		}
	}
	if f.Disks != 3 || f.FirstMonth.Points != 14 || f.TwelfthMonth.Points != 14 {
		t.Errorf("%+v", f)
	}
	if everything := cost.Of(estate, packs, usual, retain.Rules{}, cost.Upkeep{}); everything.TwelfthMonth.Points != 360 {
		t.Errorf("without rules %d points are kept", everything.TwelfthMonth.Points)
	}
	if empty := cost.Of(estate, packs, cost.Assumptions{RunsPerDay: 1}, retain.Rules{}, cost.Upkeep{}); empty.First.Stored != 0 || empty.First.Requests.Put < 3 {
		t.Errorf("of empty disks: %+v", empty.First)
	}
}

// Whatever is more, takes no less.
func TestMoreTakesNoLess(t *testing.T) {
	const day = 24 * time.Hour
	least := cost.Of(estate, packs, usual, retain.Rules{Daily: 7}, cost.Upkeep{})
	more := func(change func(a *cost.Assumptions, r *retain.Rules, u *cost.Upkeep, disks *[]int64)) cost.Forecast {
		a, r, u, disks := usual, retain.Rules{Daily: 7}, cost.Upkeep{}, estate
		change(&a, &r, &u, &disks)
		return cost.Of(disks, packs, a, r, u)
	}
	for what, f := range map[string]cost.Forecast{
		"a disk":         more(func(_ *cost.Assumptions, _ *retain.Rules, _ *cost.Upkeep, d *[]int64) { *d = append(*d, 1<<40) }),
		"content":        more(func(a *cost.Assumptions, _ *retain.Rules, _ *cost.Upkeep, _ *[]int64) { a.Used = 0.9 }),
		"change":         more(func(a *cost.Assumptions, _ *retain.Rules, _ *cost.Upkeep, _ *[]int64) { a.Change = 0.1 }),
		"points":         more(func(_ *cost.Assumptions, r *retain.Rules, _ *cost.Upkeep, _ *[]int64) { r.Monthly = 12 }),
		"runs":           more(func(a *cost.Assumptions, _ *retain.Rules, _ *cost.Upkeep, _ *[]int64) { a.RunsPerDay = 4 }),
		"collections":    more(func(_ *cost.Assumptions, _ *retain.Rules, u *cost.Upkeep, _ *[]int64) { u.Collect = day }),
		"verification":   more(func(_ *cost.Assumptions, _ *retain.Rules, u *cost.Upkeep, _ *[]int64) { u.Verify = 30 * day }),
		"locks":          more(func(_ *cost.Assumptions, _ *retain.Rules, u *cost.Upkeep, _ *[]int64) { u.Lock = 30 * day }),
		"packs asked of": more(func(_ *cost.Assumptions, _ *retain.Rules, u *cost.Upkeep, _ *[]int64) { u.Recheck = 7 * day }),
	} {
		p := cost.Prices{Storage: 1, Put: 1, Get: 1, List: 1, Delete: 1, Received: 1}
		if a, b := p.Month(least.TwelfthMonth), p.Month(f.TwelfthMonth); b <= a {
			t.Errorf("more %s: %g, and %g without", what, b, a)
		}
	}
}

// What is charged for is counted once, by the units of a price list.
func TestPrices(t *testing.T) {
	p := cost.Prices{Storage: 0.02, Put: 5, Get: 0.4, List: 6, Delete: 1, Received: 0.09}
	r := cost.Requests{Put: 2000, Get: 1000, Head: 4000, List: 500, Delete: 100}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %g, want %g", what, got, want)
		}
	}
	near("requests", p.Requests(r), 10+2+3+0.1)
	near("a terabyte stored", p.Bytes(1e12), 20)
	near("a run", p.Run(cost.Run{Requests: r, ReadBack: 1e10, Stored: 1e12}), 15.1+0.9)
	near("a month", p.Month(cost.Month{Requests: r, Received: 1e10, Stored: 1e12}), 15.1+0.9+20)
}

func TestAssumptionsThatCannotBe(t *testing.T) {
	for what, a := range map[string]cost.Assumptions{
		"more content than disk": {Used: 1.1, RunsPerDay: 1}, "less than none": {Change: -0.1, RunsPerDay: 1}, "no number": {Stored: math.NaN(), RunsPerDay: 1},
		"no runs": {}, "runs without end": {RunsPerDay: math.Inf(1)}, "no number of runs": {RunsPerDay: math.NaN()},
	} {
		if err := a.Check(); ivd.KindOf(err) != ivd.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := usual.Check(); err != nil {
		t.Error(err)
	}
}
