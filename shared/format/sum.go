package format

import (
	"math/bits"

	"lukechampine.com/blake3/guts"

	"ivdmover/shared/ivd"
)

// Sum is the content id of a plain content: its BLAKE3-256.
func Sum(plain []byte) ivd.ContentID { return blake3Sum(plain) }

// PackSum is the id of a pack that consists of these bytes: their BLAKE3-256.
func PackSum(body []byte) ivd.PackID { return blake3Sum(body) }

// sumBlock is what the library hashes at once, with vector instructions.
const sumBlock = guts.MaxSIMD * guts.ChunkSize

// blake3Sum is blake3.Sum256 without its goroutines, of which it starts one for
// each 16 KiB: a mover hashes many chunks at once already, and the allocations
// and switches cost more than they bring.
func blake3Sum(b []byte) (sum [32]byte) {
	root := subtree(b, 0)
	root.Flags |= guts.FlagRoot
	out := guts.WordsToBytes(guts.CompressNode(root))
	copy(sum[:], out[:])
	return sum
}

// subtree is the node above b, whose first byte is that of the chunk that counter
// says. A left child holds a power of two of chunks, as many as leave something to
// the right one (BLAKE3 paper, section 2.1).
func subtree(b []byte, counter uint64) guts.Node {
	if len(b) == sumBlock {
		return guts.CompressBuffer((*[sumBlock]byte)(b), sumBlock, &guts.IV, counter, 0)
	}
	if len(b) < sumBlock {
		return shortSubtree(b, counter)
	}
	chunks := uint64(len(b)-1) / guts.ChunkSize // whole ones, with something after them
	left := uint64(1) << (bits.Len64(chunks) - 1)
	l := subtree(b[:left*guts.ChunkSize], counter)
	r := subtree(b[left*guts.ChunkSize:], counter+left)
	return guts.ParentNode(guts.ChainingValue(l), guts.ChainingValue(r), &guts.IV, 0)
}

// shortSubtree has a frame of its own for the copy that the library needs.
func shortSubtree(b []byte, counter uint64) guts.Node {
	var block [sumBlock]byte
	copy(block[:], b)
	return guts.CompressBuffer(&block, len(b), &guts.IV, counter, 0)
}
