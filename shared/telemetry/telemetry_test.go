package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ivdmover/shared/ivd"
	"ivdmover/shared/telemetry"
)

type login struct {
	User     string
	password ivd.Secret
	Inner    struct{ Cookie *ivd.Secret }
}

func TestSecretsStayOut(t *testing.T) {
	const secret = "hunter2"
	cookie := ivd.Secret(secret)
	one := login{User: "u", password: secret}
	one.Inner.Cookie = &cookie
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		log, err := telemetry.NewLogger(&out, telemetry.Options{Format: format, Level: slog.LevelDebug})
		if err != nil {
			t.Fatal(err)
		}
		log = log.With("with", ivd.Secret(secret))
		log.Info("m", "plain", ivd.Secret(secret), "pointer", &cookie, "struct", one, "pointer to struct", &one,
			"slice", []ivd.Secret{secret}, "map", map[string]ivd.Secret{"k": secret}, slog.Group("g", "in", one),
			"err", fmt.Errorf("login with %s: %v", ivd.Secret(secret), ivd.Secret(secret)))
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s: %s", format, out.String())
		}
		if n := strings.Count(out.String(), "[secret]"); n != 10 {
			t.Errorf("%s: %d marks of a secret, want 10: %s", format, n, out.String())
		}
	}
}

func TestErrIsOneLine(t *testing.T) {
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, telemetry.Options{Format: "json"})
	if err != nil {
		t.Fatal(err)
	}
	failure := errors.Join(&ivd.Error{Kind: ivd.Full, Op: "put x", Err: errors.New("no space"), Remedy: "free some"}, errors.New("second"))
	log.Warn("m", telemetry.Run("r"), telemetry.Disk("d"), telemetry.Job("j"), telemetry.Mover("v"), telemetry.Attempt(2), telemetry.Err(failure))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"run": "r", "disk": "d", "job": "j", "mover": "v", "attempt": 2.0,
		"err": "put x: no space; second", "kind": "full", "remedy": "free some", "level": "WARN",
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
	out.Reset()
	log.Info("m", telemetry.Err(nil))
	if strings.Contains(out.String(), "err") {
		t.Errorf("no error: %s", out.String())
	}
	log.Debug("below the level")
	if strings.Contains(out.String(), "below") || log.Enabled(context.Background(), slog.LevelDebug) {
		t.Error("a line below the level")
	}
}

func TestOptions(t *testing.T) {
	if _, err := telemetry.NewLogger(&bytes.Buffer{}, telemetry.Options{Format: "xml"}); ivd.KindOf(err) != ivd.Invalid {
		t.Errorf("format xml: %v", err)
	}
	if l, err := telemetry.ParseLevel("warn"); err != nil || l != slog.LevelWarn {
		t.Errorf("warn: %v, %v", l, err)
	}
	if _, err := telemetry.ParseLevel("loud"); ivd.KindOf(err) != ivd.Invalid {
		t.Errorf("loud: %v", err)
	}
}

func TestFigures(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1.00 KiB", 1536: "1.50 KiB", 10 << 20: "10.0 MiB",
		100 << 30: "100 GiB", 1<<30 - 1: "1.00 GiB", -2048: "-2.00 KiB", math.MaxInt64: "8.00 EiB", math.MinInt64: "-8.00 EiB",
	} {
		if got := telemetry.Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0 s", 0: "0.0 s", 840 * time.Millisecond: "0.8 s", 9990 * time.Millisecond: "10 s", 42 * time.Second: "42 s",
		59900 * time.Millisecond: "1m00s", 185 * time.Second: "3m05s", time.Hour - time.Millisecond: "1h00m",
		127 * time.Minute: "2h07m", 24*time.Hour - time.Second: "1d00h", 76 * time.Hour: "3d04h",
	} {
		if got := telemetry.Elapsed(d); got != want {
			t.Errorf("Elapsed(%s) = %s, want %s", d, got, want)
		}
	}
}

// TestBytesWidth: whatever the number, at most four digits and a unit.
func TestBytesWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Min(0).Draw(t, "n")
		number, unit, ok := strings.Cut(telemetry.Bytes(n), " ")
		if !ok || len(strings.ReplaceAll(number, ".", "")) > 4 || len(number) > 5 || !strings.HasSuffix(unit, "B") {
			t.Fatalf("Bytes(%d) = %q", n, telemetry.Bytes(n))
		}
	})
}

// A line of the log stays one line, and steers no terminal, whatever a name holds.
func TestOthersTextInTheLog(t *testing.T) {
	const evil = "a\x1b[2J\u202e\nlevel=ERROR\u009bb"
	for _, format := range []string{"text", "json"} {
		var b strings.Builder
		log, err := telemetry.NewLogger(&b, telemetry.Options{Format: format})
		if err != nil {
			t.Fatal(err)
		}
		log.Info(evil, "name", evil, evil, "x", "err", errors.New(evil), "list", []string{evil}, slog.Group(evil, "k", evil))
		line := strings.TrimSuffix(b.String(), "\n")
		if strings.ContainsAny(line, "\x1b\n\u202e\u009b") {
			t.Errorf("%q", line)
		}
		if format != "json" {
			continue
		}
		var said struct{ Name string }
		if err := json.Unmarshal([]byte(line), &said); err != nil || said.Name != evil {
			t.Errorf("it says %q, %v", said.Name, err)
		}
	}
}
