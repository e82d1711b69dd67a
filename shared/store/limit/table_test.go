package limit_test

import (
	"testing"
	"time"

	"ivdmover/shared/store/limit"
)

func TestTable(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	rates := func(n int64) limit.Rates { return limit.Rates{Upload: n} }
	table := limit.Table{
		Usual: rates(1), Zone: berlin,
		Hours: []limit.Hours{
			{Days: []time.Weekday{time.Monday, time.Friday}, From: 22 * 60, To: 6 * 60, Rates: rates(2)},
			{Days: []time.Weekday{time.Sunday}, Rates: rates(3)},
			{From: 12 * 60, To: 13 * 60, Rates: rates(4)},
		},
	}
	for text, want := range map[string]int64{
		"2026-11-30T21:59:59+01:00": 1, // a Monday
		"2026-11-30T22:00:00+01:00": 2,
		"2026-12-01T05:59:59+01:00": 2, // the night that has begun on Monday
		"2026-12-01T06:00:00+01:00": 1,
		"2026-12-01T23:00:00+01:00": 1, // a Tuesday
		"2026-11-30T05:00:00+01:00": 1, // the night that has begun on Sunday
		"2026-11-29T00:00:00+01:00": 3, // all Sunday
		"2026-11-29T23:59:59+01:00": 3,
		"2026-11-29T12:30:00+01:00": 3, // the first counts
		"2026-12-02T12:30:00+01:00": 4,
		"2026-12-02T11:30:00Z":      4,
		"2026-07-01T10:30:00Z":      4, // summer time
		"2026-07-01T11:30:00Z":      1,
		"2026-12-05T03:00:00+01:00": 2, // the night that has begun on Friday
	} {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := table.At(at).Upload; got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
	if table.None() || !(limit.Table{Hours: []limit.Hours{{}}}).None() || (limit.Table{Hours: []limit.Hours{{Rates: rates(1)}}}).None() {
		t.Error("whether there are limits")
	}
}
