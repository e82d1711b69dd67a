package telemetry

import (
	"fmt"
	"math"
	"time"
)

var byteUnits = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// Bytes formats a number of bytes for people, with three digits: "0 B", "512 KiB", "1.50 GiB".
func Bytes(n int64) string {
	if n < 0 {
		if n == math.MinInt64 {
			n++
		}
		return "-" + Bytes(-n)
	}
	f, unit := float64(n), 0
	for unit < len(byteUnits)-1 && digits(f, unit) >= 1024 {
		f /= 1024
		unit++
	}
	switch {
	case unit == 0 || f >= 99.95:
		return fmt.Sprintf("%.0f %s", f, byteUnits[unit])
	case f >= 9.995:
		return fmt.Sprintf("%.1f %s", f, byteUnits[unit])
	}
	return fmt.Sprintf("%.2f %s", f, byteUnits[unit])
}

// digits is f as it will be printed: 1023.9 MiB is printed in GiB.
func digits(f float64, unit int) float64 {
	if unit == 0 {
		return f
	}
	return math.Round(f)
}

// Elapsed formats a duration for people: "0.8 s", "42 s", "3m05s", "2h07m", "3d04h".
func Elapsed(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 10*time.Second-50*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute-500*time.Millisecond:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour-500*time.Millisecond:
		s := int64(d.Round(time.Second) / time.Second)
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case d < 24*time.Hour-30*time.Second:
		m := int64(d.Round(time.Minute) / time.Minute)
		return fmt.Sprintf("%dh%02dm", m/60, m%60)
	}
	h := int64(d.Round(time.Hour) / time.Hour)
	return fmt.Sprintf("%dd%02dh", h/24, h%24)
}
