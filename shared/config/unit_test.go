package config_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ivdmover/shared/config"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]config.Size{
		"0": 0, "512": 512, "512B": 512, "1KiB": 1024, "256MiB": 256 << 20, "1.5GiB": 3 << 29, "2 TiB": 2 << 40, "500GB": 500e9, "1PiB": 1 << 50,
	} {
		if got, err := config.ParseSize(text); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "1.5.5MiB", "MiB", "1 mib", "1MiBs", "9999999PiB", "1e9", "0x10", "NaN"} {
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
	for size, want := range map[config.Size]string{0: "0", 1000: "1000", 1024: "1KiB", 3 << 29: "1536MiB", 1 << 40: "1TiB"} {
		if size.String() != want {
			t.Errorf("%d: %s, want %s", int64(size), size, want)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "90s": 90 * time.Second, "8h30m": 510 * time.Minute, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour,
	} {
		if got, err := config.ParseDuration(text); err != nil || got.Std() != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "7", "7w", "-1h", "1d-1h", "d", "1d1", "999999d"} {
		if got, err := config.ParseDuration(text); err == nil {
			t.Errorf("%q: %s, want an error", text, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 24 * time.Hour: "24h", 90 * time.Minute: "1h30m", 10 * time.Minute: "10m", 61 * time.Second: "1m1s"} {
		if got := config.Duration(d).String(); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

func TestTimesOfDay(t *testing.T) {
	for text, want := range map[string]config.TimeOfDay{"00:00": 0, "7:05": 425, "22:30": 1350, "23:59": 1439} {
		if got, err := config.ParseTimeOfDay(text); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "24:00", "7", "07:60", "7:5", "-1:00", "07:00:00", "7pm"} {
		if got, err := config.ParseTimeOfDay(text); err == nil {
			t.Errorf("%q: %s, want an error", text, got)
		}
	}
}

// TestTextForms: what a value writes, it reads.
func TestTextForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := config.Size(rapid.Int64Range(0, 1<<50).Draw(t, "size"))
		if got, err := config.ParseSize(size.String()); err != nil || got != size {
			t.Fatalf("%s: %d, %v", size, got, err)
		}
		d := config.Duration(rapid.Int64Range(0, int64(1e6*time.Hour)).Draw(t, "duration"))
		if got, err := config.ParseDuration(d.String()); err != nil || got != d {
			t.Fatalf("%s: %s, %v", d, got, err)
		}
		p := config.Percent(rapid.Float64Range(0, 100).Draw(t, "percent"))
		if got, err := config.ParsePercent(p.String()); err != nil || got != p {
			t.Fatalf("%s: %s, %v", p, got, err)
		}
	})
}

func TestKeyIDs(t *testing.T) {
	const id = "00112233445566778899aabbccddeeff"
	for text, want := range map[string]string{"": strings.Repeat("0", 32), id: id, strings.ToUpper(id): id} {
		var k config.KeyID
		if err := k.UnmarshalText([]byte(text)); err != nil || k.ID().String() != want {
			t.Errorf("%q: %s, %v", text, k.ID(), err)
		}
	}
	for _, text := range []string{"0", id[1:], id + "0", "g" + id[1:], strings.Repeat("0", 32), " " + id} {
		if err := new(config.KeyID).UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "want 32 hexadecimal digits") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLocations(t *testing.T) {
	for text, want := range map[string]config.Location{
		"s3://b":            {Scheme: "s3", Bucket: "b"},
		"s3://b/":           {Scheme: "s3", Bucket: "b"},
		"s3://my.b/a/c":     {Scheme: "s3", Bucket: "my.b", Prefix: "a/c"},
		"s3://b/a/":         {Scheme: "s3", Bucket: "b", Prefix: "a"},
		"dir:///var/lib/x/": {Scheme: "dir", Folder: "/var/lib/x"},
	} {
		if got, err := config.ParseLocation(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "b", "s3:b", "s3://", "s3:///a", "s3://b:80/a", "s3://key:secret@b/a", "s3://b/a/../c", "s3://b/a//c", "s3://b?x=y",
		"dir://", "dir://rel", "dir:rel", "dir://host/path", "https://b/a", "s3://b/a#f", "://", "s3://%zz",
	} {
		if got, err := config.ParseLocation(text); err == nil {
			t.Errorf("%q: %+v, want an error", text, got)
		}
	}
}
