package image

import (
	"sync"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// pieceSize is how much of a disk is fetched with one request, where nobody asks for
// more: neighbouring chunks together.
const pieceSize = 1 << 20

// What an image reserves for itself.
const (
	indexBytes = 2 << 20 // of pages, and as much of nodes
	ownBytes   = 8 << 20 // of pieces, and half as much of what is fetched for them
)

// sizes are an image's amounts of memory, in bytes.
type sizes struct {
	chunk int64
	piece int64 // whole chunks
	cache int64
}

func sizesOf(g ivd.Geometry, o Options) sizes {
	piece := max(o.Piece, pieceSize)
	return sizes{chunk: g.ChunkSize, piece: max(piece-piece%g.ChunkSize, g.ChunkSize), cache: o.Cache}
}

func (z sizes) need() int64 {
	return 2*indexBytes + z.cache + int64(z.ownPieces())*z.piece + int64(z.ownRaw())*z.rawCost()
}

func (z sizes) ownPieces() int { return int(max(2, ownBytes/z.piece)) }
func (z sizes) ownRaw() int    { return int(max(2, ownBytes/2/z.piece)) }

// raw is the longest range of a pack that a unit needs: what is stored is never longer
// than its content, but for the frames' headers.
func (z sizes) raw() int64 { return z.piece + z.piece/z.chunk*format.FrameOverhead }

// rawCost is what a unit that is being fetched counts, beside its content.
func (z sizes) rawCost() int64 { return z.raw() + z.chunk }

// scratch is the memory of one request under way.
type scratch struct {
	raw   []byte // as it is stored
	plain []byte // a chunk of which only a part is wanted
}

// scratches makes scratch memory, out of what was dropped and is not collected yet
// where there is any.
func (z sizes) scratches() (get func() *scratch, drop func(*scratch)) {
	dropped := sync.Pool{New: func() any {
		b := make([]byte, z.rawCost())
		return &scratch{raw: b[:z.raw():z.raw()], plain: b[z.raw():]}
	}}
	return func() *scratch { return dropped.Get().(*scratch) }, func(s *scratch) { dropped.Put(s) }
}
