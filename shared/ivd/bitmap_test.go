package ivd_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"ivdmover/shared/ivd"
)

// A bitmap is the set of chunks that were marked, whichever way it is asked.
func TestBitmap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b ivd.Bitmap
		var want [ivd.ChunksPerSpan]bool
		for range rapid.IntRange(0, 8).Draw(t, "ranges") {
			from := rapid.IntRange(0, ivd.ChunksPerSpan).Draw(t, "from")
			to := rapid.IntRange(from, ivd.ChunksPerSpan).Draw(t, "to")
			b.SetRange(from, to)
			for i := from; i < to; i++ {
				want[i] = true
			}
		}
		i := rapid.IntRange(0, ivd.ChunksPerSpan-1).Draw(t, "one")
		b.Set(i)
		want[i] = true

		count := 0
		for i, w := range want {
			if b.Has(i) != w {
				t.Fatalf("chunk %d is marked: %t, want %t", i, b.Has(i), w)
			}
			if w {
				count++
			}
		}
		if b.Count() != count {
			t.Fatalf("%d chunks are marked, want %d", b.Count(), count)
		}
		var again ivd.Bitmap
		last := -1
		for from, to := range b.Runs() {
			if from <= last || to <= from {
				t.Fatalf("a run from %d to %d after one to %d", from, to, last)
			}
			last = to
			again.SetRange(from, to)
		}
		if again != b {
			t.Fatal("the runs are not the bitmap")
		}
		text, err := b.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		again = ivd.Bitmap{}
		if err := again.UnmarshalText(text); err != nil || again != b {
			t.Fatalf("read back: %v", err)
		}
	})
}

func TestBitmapOrder(t *testing.T) {
	var b ivd.Bitmap
	b.Set(0)
	b.Set(9)
	if b[0] != 1 || b[1] != 2 {
		t.Fatalf("the lowest bit of the first byte is the first chunk: % x", b[:2])
	}
	for range b.Runs() {
		break // a caller may stop
	}
	for _, text := range []string{"", "AAAA", "!", string(bytes.Repeat([]byte("A"), 176))} {
		if b.UnmarshalText([]byte(text)) == nil {
			t.Errorf("a bitmap of %q is accepted", text)
		}
	}
}
