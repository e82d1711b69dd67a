// Package ivd holds the vocabulary of the project: the ids of vSphere's things
// and of ours, the units in which a disk is cut, bitmaps over those units, where
// a piece of a repository lies, and the kinds of error.
//
// A disk is cut into chunks of one size at their own alignment; 256 chunks are a
// span, 1,024 spans are a page. Everything is plain values: the package does no
// I/O, reads no clock and knows no other package of the project. Sizes and
// offsets are bytes; VDDK's sectors exist only in package vddk.
package ivd

// How a disk is cut. They are part of the repository's format.
const (
	ChunksPerSpan = 256
	SpansPerPage  = 1024

	MinChunkSize     = 64 << 10
	MaxChunkSize     = 8 << 20
	DefaultChunkSize = 256 << 10
	// LargeChunkSize is what `auto` takes for disks above LargeDisk.
	LargeChunkSize = 1 << 20
	LargeDisk      = 4 << 40
)

// Extent is a run of bytes of a disk.
type Extent struct {
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
}

// End is the first byte after the extent.
func (e Extent) End() int64 { return e.Offset + e.Length }
