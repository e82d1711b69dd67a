// Package text is how figures and tables look to people: sizes in binary units,
// rates, durations, times, and columns that are aligned by what is seen. Programs
// read JSON instead; nothing here is ever parsed.
package text

import (
	"fmt"
	"time"
	"unicode/utf8"
)

var units = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}

// Size writes bytes with three digits or so: "0 B", "12.3 GiB", "512 MiB".
func Size(n int64) string {
	if n < 0 {
		return "-" + Size(-n)
	}
	f, unit := float64(n), 0
	// Rounding must not make "1024 MiB" of a little less than a GiB.
	for f >= 1023.5 && unit < len(units)-1 {
		f /= 1024
		unit++
	}
	if unit == 0 || f >= 99.95 || f == float64(int64(f)) {
		return fmt.Sprintf("%.0f %s", f, units[unit])
	}
	return fmt.Sprintf("%.1f %s", f, units[unit])
}

// Rate writes bytes a second.
func Rate(perSecond float64) string { return Size(int64(perSecond)) + "/s" }

// Duration writes a span of time in its two largest units: "1.2s", "3m05s",
// "2h10m", "12d3h".
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Duration(-d)
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute-500*time.Millisecond:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour-500*time.Millisecond:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 48*time.Hour:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	d = d.Round(time.Hour)
	return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// Time writes a moment in local time; nothing for one that never was.
func Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// Cut shortens s to width columns, with an ellipsis where something is left out.
func Cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	return string([]rune(s)[:width-1]) + "…"
}

// Percent is part of whole, from 0 to 100.
func Percent(part, whole int64) int {
	if whole <= 0 {
		return 100
	}
	return int(min(100, max(0, float64(part)/float64(whole)*100)))
}
