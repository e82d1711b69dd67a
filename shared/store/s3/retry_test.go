package s3

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 25, 22, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for name, c := range map[string]struct {
		after, date string
		want        time.Time
	}{
		"seconds":                    {"3", "", now.Add(3 * time.Second)},
		"a date":                     {date(time.Minute), "", now.Add(time.Minute)},
		"a date by another clock":    {date(time.Hour + time.Minute), date(time.Hour), now.Add(time.Minute)},
		"nothing":                    {"", date(0), time.Time{}},
		"something else":             {"soon", date(0), time.Time{}},
		"less than nothing":          {"-3", date(0), time.Time{}},
		"more than a number can say": {"99999999999999999999", date(0), time.Time{}},
	} {
		h := http.Header{}
		h.Set("Retry-After", c.after)
		h.Set("Date", c.date)
		if got := retryAfter(h, now); !got.Equal(c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Of several pleas the latest counts; other answers are none.
func TestPlea(t *testing.T) {
	p := &plea{}
	after := func(seconds string) http.Header { return http.Header{"Retry-After": {seconds}} }
	p.saw(http.StatusMovedPermanently, after("1000"))
	if left := p.left(); left > 0 {
		t.Errorf("%s after another answer", left)
	}
	p.saw(http.StatusServiceUnavailable, after("500"))
	p.saw(http.StatusTooManyRequests, after("100"))
	p.saw(http.StatusServiceUnavailable, http.Header{})
	if left := p.left(); left < 490*time.Second || left > 500*time.Second {
		t.Errorf("%s left of 500 s", left)
	}
}
