package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"ivdmover/shared/ivd"
)

// Size is a number of bytes, written "256MiB".
type Size int64

// Bytes is the size as a plain number.
func (s Size) Bytes() int64 { return int64(s) }

var sizePattern = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([KMGTP]i?B|B)?$`)

var sizeUnits = []struct {
	name  string
	bytes float64
}{
	{"PiB", 1 << 50},
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"PB", 1e15},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"KB", 1e3},
}

// ParseSize reads "256MiB", "1.5GiB", "500GB" or plain bytes.
func ParseSize(s string) (Size, error) {
	m := sizePattern.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("size %q: want a number with KiB, MiB, GiB or TiB, such as 256MiB", s)
	}
	unit := 1.0
	for _, u := range sizeUnits {
		if u.name == m[2] {
			unit = u.bytes
		}
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil || n*unit > math.MaxInt64/2 {
		return 0, fmt.Errorf("size %q: too large", s)
	}
	return Size(n * unit), nil
}

func (s Size) String() string {
	for _, u := range sizeUnits[:5] {
		if unit := Size(u.bytes); s != 0 && s%unit == 0 {
			return strconv.FormatInt(int64(s/unit), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText writes what ParseSize reads.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads as ParseSize does.
func (s *Size) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSize(string(b))
	return err
}

// Duration is a time.Duration, written "24h", "8h30m" or "7d".
type Duration time.Duration

// Std returns the duration as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

var dayPattern = regexp.MustCompile(`^([0-9]{1,5})d(.*)$`)

// ParseDuration reads what time.ParseDuration does, with whole days before it.
func ParseDuration(s string) (Duration, error) {
	bad := fmt.Errorf("duration %q: want such as 90s, 30m, 8h or 7d", s)
	rest, days := s, 0
	if m := dayPattern.FindStringSubmatch(s); m != nil {
		days, _ = strconv.Atoi(m[1]) // at most five digits
		rest = m[2]
		if rest == "" {
			rest = "0"
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, bad
	}
	return Duration(d + time.Duration(days)*24*time.Hour), nil
}

func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes what ParseDuration reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads as ParseDuration does.
func (d *Duration) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDuration(string(b))
	return err
}

// TimeOfDay is a time on the wall's clock in minutes since midnight, written "22:30".
type TimeOfDay int

var timeOfDayPattern = regexp.MustCompile(`^([01]?[0-9]|2[0-3]):([0-5][0-9])$`)

// ParseTimeOfDay reads "22:30".
func ParseTimeOfDay(s string) (TimeOfDay, error) {
	m := timeOfDayPattern.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("time of day %q: want hours and minutes, such as 22:30", s)
	}
	hours, _ := strconv.Atoi(m[1]) // two digits
	minutes, _ := strconv.Atoi(m[2])
	return TimeOfDay(hours*60 + minutes), nil
}

func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", int(t)/60, int(t)%60) }

// MarshalText writes what ParseTimeOfDay reads.
func (t TimeOfDay) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads as ParseTimeOfDay does.
func (t *TimeOfDay) UnmarshalText(b []byte) (err error) {
	*t, err = ParseTimeOfDay(string(b))
	return err
}

// Percent is a share of 100, written "10%".
type Percent float64

// ParsePercent reads "10%".
func ParsePercent(s string) (Percent, error) {
	digits, ok := strings.CutSuffix(s, "%")
	p, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if !ok || err != nil || !(p >= 0 && p <= 100) {
		return 0, fmt.Errorf("percentage %q: want 0%% to 100%%, such as 10%%", s)
	}
	return Percent(p), nil
}

func (p Percent) String() string { return strconv.FormatFloat(float64(p), 'f', -1, 64) + "%" }

// MarshalText writes what ParsePercent reads.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads as ParsePercent does.
func (p *Percent) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePercent(string(b))
	return err
}

// Price is what something costs, in the currency beside it: a number, 0 or more.
type Price float64

// ParsePrice reads a number.
func ParsePrice(s string) (Price, error) {
	p, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(p >= 0) || math.IsInf(p, 0) {
		return 0, fmt.Errorf("price %q: want a number, 0 or more, such as 0.023", s)
	}
	return Price(p), nil
}

func (p Price) String() string { return strconv.FormatFloat(float64(p), 'f', -1, 64) }

// MarshalText writes what ParsePrice reads.
func (p Price) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads as ParsePrice does.
func (p *Price) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePrice(string(b))
	return err
}

// Thumbprint is the SHA-1 of a certificate as VDDK wants it: "AA:BB:…", twenty
// pairs in upper case. Empty is none.
type Thumbprint string

var thumbprintPattern = regexp.MustCompile(`^[0-9A-F]{2}(:[0-9A-F]{2}){19}$`)

// ParseThumbprint reads one, in upper or lower case.
func ParseThumbprint(s string) (Thumbprint, error) {
	t := strings.ToUpper(s)
	if t != "" && !thumbprintPattern.MatchString(t) {
		return "", fmt.Errorf("thumbprint %q: want a certificate's SHA-1 as 20 pairs AA:BB:…, as openssl x509 -fingerprint -sha1 shows it", s)
	}
	return Thumbprint(t), nil
}

// UnmarshalText reads as ParseThumbprint does.
func (t *Thumbprint) UnmarshalText(b []byte) (err error) {
	*t, err = ParseThumbprint(string(b))
	return err
}

// KeyID is the id of a key, 32 hexadecimal digits. Empty is none.
type KeyID string

// ID is the id; the zero id where there is none.
func (k KeyID) ID() (id ivd.KeyID) {
	_ = id.UnmarshalText([]byte(k)) // checked when the file was read
	return id
}

// UnmarshalText reads one, in upper or lower case.
func (k *KeyID) UnmarshalText(b []byte) error {
	text := strings.ToLower(string(b))
	if id := new(ivd.KeyID); text != "" && (id.UnmarshalText([]byte(text)) != nil || id.IsZero()) {
		return fmt.Errorf("key id %q: want 32 hexadecimal digits, as `ivd repo info` shows them", b)
	}
	*k = KeyID(text)
	return nil
}
