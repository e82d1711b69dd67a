package format_test

import (
	"encoding/hex"
	"testing"

	"lukechampine.com/blake3"
	"pgregory.net/rapid"

	"ivdmover/shared/format"
)

func TestSum(t *testing.T) {
	// The empty input's sum, of the BLAKE3 paper's reference implementation.
	if got := format.Sum(nil).String(); got != "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262" {
		t.Errorf("of nothing: %s", got)
	}
	data := content(1, 600_000, true)
	check := func(n int) {
		t.Helper()
		want := blake3.Sum256(data[:n])
		if got := format.Sum(data[:n]); got != want {
			t.Fatalf("of %d bytes: %s, want %s", n, got, hex.EncodeToString(want[:]))
		}
	}
	for n := range 2100 {
		check(n)
	}
	for n := 1024; n <= len(data)-1; n += 1024 {
		check(n - 1)
		check(n)
		check(n + 1)
	}
	rapid.Check(t, func(t *rapid.T) { check(rapid.IntRange(0, len(data)).Draw(t, "length")) })
}

func BenchmarkSum(b *testing.B) {
	for name, n := range map[string]int{"256KiB": 256 << 10, "16MiB": 16 << 20} {
		data := content(1, n, true)
		b.Run("alone/"+name, func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				format.Sum(data)
			}
		})
		b.Run("library/"+name, func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				blake3.Sum256(data)
			}
		})
	}
}
