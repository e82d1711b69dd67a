package text

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 1 << 20: "1 MiB", 1<<30 - 1: "1.0 GiB",
		100 << 20: "100 MiB", 12900 << 20: "12.6 GiB", 62 << 40: "62 TiB", -1536: "-1.5 KiB",
	} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestSizeIsNarrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, math.MaxInt64).Draw(t, "n")
		if s := Size(n); utf8.RuneCountInString(s) > 8 {
			t.Fatalf("Size(%d) = %q is wide", n, s)
		}
	})
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0s", 1234 * time.Millisecond: "1.2s", 9990 * time.Millisecond: "10s", 59700 * time.Millisecond: "1m00s",
		65 * time.Second: "1m05s", 59*time.Minute + 59*time.Second: "59m59s", 130 * time.Minute: "2h10m", 75 * time.Hour: "3d3h",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestCutAndPercent(t *testing.T) {
	if got := Cut("größer", 4); got != "grö…" {
		t.Errorf("Cut = %q", got)
	}
	if Cut("abc", 3) != "abc" || Cut("abc", 0) != "" {
		t.Error("Cut at the edge")
	}
	for _, c := range [][3]int64{{0, 0, 100}, {1, 2, 50}, {3, 2, 100}, {-1, 2, 0}, {math.MaxInt64, math.MaxInt64, 100}} {
		if got := Percent(c[0], c[1]); got != int(c[2]) {
			t.Errorf("Percent(%d, %d) = %d", c[0], c[1], got)
		}
	}
}

func TestTable(t *testing.T) {
	table := Table{Columns: []Column{Left("NAME"), Left("NOTE"), Right("SIZE")}}
	var b strings.Builder
	if err := table.Write(&b); err != nil || b.String() != "NAME  NOTE  SIZE\n" {
		t.Errorf("without rows: %q, %v", b.String(), err)
	}
	table.Row("ä", "", "12 B")
	table.Row("longer", "", "1.5 KiB")
	b.Reset()
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := "NAME       SIZE\nä          12 B\nlonger  1.5 KiB\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
