// Package text is how results look to people: times, shares, and columns that are
// aligned by what is seen. Programs read JSON instead; nothing here is ever parsed.
package text

import "time"

// Time writes a moment in local time; nothing for one that never was.
func Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// Percent is part of whole, from 0 to 100.
func Percent(part, whole int64) int {
	if whole <= 0 {
		return 100
	}
	return int(min(100, max(0, float64(part)/float64(whole)*100)))
}
