package ivd

import (
	"encoding/base64"
	"fmt"
	"iter"
	"math/bits"
)

// Bitmap has a bit for each chunk of a span, the lowest bit of the first byte
// being its first chunk. As text it is base64.
type Bitmap [ChunksPerSpan / 8]byte

// Set marks chunk i of the span.
func (b *Bitmap) Set(i int) { b[i>>3] |= 1 << (i & 7) }

// Has reports whether chunk i of the span is marked.
func (b *Bitmap) Has(i int) bool { return b[i>>3]&(1<<(i&7)) != 0 }

// SetRange marks the chunks from, from+1, …, to-1.
func (b *Bitmap) SetRange(from, to int) {
	for i := from; i < to; i++ {
		b.Set(i)
	}
}

// Count is how many chunks are marked.
func (b *Bitmap) Count() int {
	n := 0
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return n
}

// Runs yields the marked chunks as runs [from, to), in order.
func (b *Bitmap) Runs() iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		for i := 0; i < ChunksPerSpan; {
			if !b.Has(i) {
				i++
				continue
			}
			from := i
			for i < ChunksPerSpan && b.Has(i) {
				i++
			}
			if !yield(from, i) {
				return
			}
		}
	}
}

// MarshalText writes base64.
func (b Bitmap) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, b[:]), nil
}

// UnmarshalText reads base64 of exactly the bitmap's length.
func (b *Bitmap) UnmarshalText(text []byte) error {
	raw, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("bitmap: %w", err)
	}
	if len(raw) != len(b) {
		return fmt.Errorf("bitmap of %d bytes: want %d", len(raw), len(b))
	}
	copy(b[:], raw)
	return nil
}
