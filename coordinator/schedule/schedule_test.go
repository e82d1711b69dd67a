package schedule_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ivdmover/coordinator/schedule"
	"ivdmover/shared/ivd"
)

func TestParse(t *testing.T) {
	from := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC) // a Tuesday
	for text, want := range map[string]string{
		"30 5 * * *":             "2026-12-02 05:30",
		"0 22 * * mon-fri":       "2026-12-01 22:00",
		"0 22 * * 7":             "2026-12-06 22:00",
		"0 22 * * SUN":           "2026-12-06 22:00",
		"0 0 13 * fri":           "2026-12-04 00:00", // either
		"0 0 1-7 jan */7":        "2027-01-03 00:00", // both: the first Sunday
		"5,50 */6 * * *":         "2026-12-01 12:05",
		"10-40/15 * * * *":       "2026-12-01 12:10",
		"0 0 29 2 *":             "2028-02-29 00:00",
		"0 0 29 2 */6":           "2032-02-29 00:00", // a Sunday
		"@hourly":                "2026-12-01 13:00",
		"@daily":                 "2026-12-02 00:00",
		"@weekly":                "2026-12-06 00:00",
		"@monthly":               "2027-01-01 00:00",
		"@yearly":                "2027-01-01 00:00",
		" 0  0 31 4,5 * ":        "2027-05-31 00:00",
		"59 23 31 12 *":          "2026-12-31 23:59",
		"0 12 1 12 tue,wed":      "2026-12-02 12:00",
		"* * * * *":              "2026-12-01 12:01",
		"0-59/1 0-23 1-31 * 0-7": "2026-12-01 12:01",
	} {
		s, err := schedule.Parse(text, time.UTC)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := s.Next(from).Format("2006-01-02 15:04"); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "0 fields",
		"daily":                "1 fields",
		"@reboot":              "1 fields",
		"@every 1h":            "2 fields",
		"0 5 * *":              "4 fields",
		"0 0 5 * * *":          "6 fields",
		"TZ=UTC 0 5 * * *":     "6 fields",
		"60 5 * * *":           `minute: "60": want 0 to 59`,
		"0 24 * * *":           `hour: "24": want 0 to 23`,
		"0 5 0 * *":            `day of the month: "0": want 1 to 31`,
		"0 5 * 13 *":           `month: "13"`,
		"0 5 * mai *":          `month: "mai"`,
		"0 5 * * 8":            `day of the week: "8"`,
		"0 5 * * fri-mon":      "ends before it begins",
		"0 */0 * * *":          "want a step from 1 to 23",
		"0 */-1 * * *":         "want a step from 1 to 23",
		"0 5/2 * * *":          "a step is of * or of a range",
		"0 5,, * * *":          `hour: "": want`,
		"0 ? * * *":            `hour: "?"`,
		"0 +5 * * *":           `hour: "+5"`,
		"0 5-6-7 * * *":        `hour: "6-7"`,
		"0 0 31 2 *":           "never fires",
		"0 0 31 2,4,6,9,11 *":  "never fires",
		"0 0 30,31 feb */2":    "never fires",
		"999999999999 5 * * *": "minute",
	} {
		s, err := schedule.Parse(text, time.UTC)
		if ivd.KindOf(err) != ivd.Invalid || !strings.Contains(err.Error(), want) || ivd.RemedyOf(err) == "" {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
		_ = s
	}
	var none schedule.Schedule
	if at := time.Now(); !none.IsZero() || !none.Next(at).IsZero() || !none.Last(at).IsZero() {
		t.Error("the zero schedule fires")
	}
}

// Next and Last are each other's inverse, and keep to the fields where no clock is set.
func TestNextAndLast(t *testing.T) {
	zones := []*time.Location{time.UTC}
	for _, h := range hard {
		zones = append(zones, load(t, h.zone))
	}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join([]string{
			rapid.SampledFrom([]string{"0", "*/15", "59", "7-50/20", "*"}).Draw(t, "minute"),
			rapid.SampledFrom([]string{"0", "*", "*/3", "2", "1-3", "23"}).Draw(t, "hour"),
			rapid.SampledFrom([]string{"*", "1", "29-31", "*/2"}).Draw(t, "date"),
			rapid.SampledFrom([]string{"*", "3,10,11", "apr-sep"}).Draw(t, "month"),
			rapid.SampledFrom([]string{"*", "sun", "1-5"}).Draw(t, "weekday"),
		}, " ")
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		s, err := schedule.Parse(text, zone)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(rapid.Int64Range(1_262_304_000, 1_893_456_000).Draw(t, "at"), 0)
		next := s.Next(at)
		if !next.After(at) || !s.Last(next).Equal(next) {
			t.Fatalf("%q in %s: the next one after %s is %s, the last one until that %s", text, zone, at, next, s.Last(next))
		}
		last := s.Last(next.Add(-time.Second))
		if last.After(at) || !s.Next(last).Equal(next) {
			t.Fatalf("%q in %s: before %s is %s, after which is %s", text, zone, next, last, s.Next(last))
		}
	})
}

func TestWindow(t *testing.T) {
	zone := load(t, "Europe/Berlin")
	s := parse(t, "0 22 * * *", zone)
	start := time.Date(2026, 10, 24, 22, 0, 0, 0, zone) // clocks are set back in this night
	for after, want := range map[time.Duration]bool{-time.Second: false, 0: true, 8*time.Hour - time.Second: true, 8 * time.Hour: false} {
		w, open := s.Window(start.Add(after), 8*time.Hour)
		if open != want || open && (!w.Start.Equal(start) || w.End.Sub(w.Start) != 8*time.Hour) {
			t.Errorf("%s after its beginning: %+v, %v", after, w, open)
		}
	}
	if w, open := s.Window(start.Add(time.Hour), 48*time.Hour); !open || !w.Start.Equal(start) {
		t.Errorf("of several, the newest: %+v", w)
	}
	if _, open := (schedule.Schedule{}).Window(start, time.Hour); open {
		t.Error("what never fires has a window")
	}
}

func TestJitter(t *testing.T) {
	seen := map[time.Duration]bool{}
	for _, names := range [][]string{{"a"}, {"b"}, {"a", "b"}, {"ab"}, {"a", "", "b"}, {"", "ab"}} {
		d := schedule.Jitter(time.Hour, names...)
		if d < 0 || d >= time.Hour || d != schedule.Jitter(time.Hour, names...) {
			t.Errorf("%q: %s", names, d)
		}
		seen[d] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d of 6 differ", len(seen))
	}
	if schedule.Jitter(0, "a") != 0 {
		t.Error("no span has a jitter")
	}
}

// What is read has a next firing, and nothing panics.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"30 5 * * *", "0 0 29 2 *", "*/7 1-5/2 1,15 jan-mar mon", "@daily", "TZ=x"} {
		f.Add(text)
	}
	zone, err := time.LoadLocation("Asia/Beirut")
	if err != nil {
		f.Fatal(err)
	}
	from := time.Date(2026, 3, 28, 22, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := schedule.Parse(text, zone)
		if err != nil {
			return
		}
		next := s.Next(from)
		if !next.After(from) || !s.Last(next).Equal(next) {
			t.Errorf("%q: %s after %s", text, next, from)
		}
	})
}
