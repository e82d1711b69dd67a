package image

import (
	"testing"

	"ivdmover/shared/ivd"
)

// What an image reserves: pages, nodes, the cache, some pieces of whole chunks, and what
// is fetched for them with the frames' headers and a chunk of which a part is wanted.
func TestNeed(t *testing.T) {
	const kib, mib, frame = int64(1 << 10), int64(1 << 20), 72
	for _, c := range []struct{ chunk, piece, cache, want int64 }{
		{64 * kib, 0, 5 * mib, 4*mib + 5*mib + 8*mib + 4*(mib+16*frame+64*kib)},
		{64 * kib, 2 * mib, 0, 4*mib + 4*2*mib + 2*(2*mib+32*frame+64*kib)},
		{64 * kib, 3*mib + 5, 0, 4*mib + 2*3*mib + 2*(3*mib+48*frame+64*kib)},
		{4 * mib, 0, 1, 4*mib + 1 + 2*4*mib + 2*(4*mib+frame+4*mib)},
		{4 * mib, 9 * mib, 0, 4*mib + 2*8*mib + 2*(8*mib+2*frame+4*mib)},
	} {
		o := Options{Piece: c.piece, Cache: c.cache}
		if got := o.Need(ivd.Geometry{Capacity: 1 << 40, ChunkSize: c.chunk}); got != c.want {
			t.Errorf("chunks of %d, pieces of %d and %d to keep need %d, want %d", c.chunk, c.piece, c.cache, got, c.want)
		}
	}
}
