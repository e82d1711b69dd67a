package format

import (
	"math/bits"

	"lukechampine.com/blake3/guts"

	"ivdmover/shared/ivd"
)

// Sum is the BLAKE3-256 of some bytes: what names a record, and a content where ids are
// made without a key (Suite.ID).
func Sum(b []byte) ivd.ContentID { return blake3Sum(b) }

// PackSum is the id of a pack that consists of these bytes: their BLAKE3-256.
func PackSum(body []byte) ivd.PackID { return blake3Sum(body) }

// sumBlock is what the library hashes at once, with vector instructions.
const sumBlock = guts.MaxSIMD * guts.ChunkSize

// hasher makes sums with a key, or without: the zero hasher is BLAKE3-256 itself.
type hasher struct {
	key *[8]uint32
}

// keyed is BLAKE3's keyed mode.
func keyed(k ivd.Key) hasher {
	var words [8]uint32
	for i := range words {
		words[i] = le.Uint32(k[4*i:])
	}
	return hasher{&words}
}

// mode is what every step of the hash takes: the key, and the flag that says so.
func (h hasher) mode() (*[8]uint32, uint32) {
	if h.key == nil {
		return &guts.IV, 0
	}
	return h.key, guts.FlagKeyedHash
}

func blake3Sum(b []byte) [32]byte { return hasher{}.sum(b) }

// sum is blake3.Sum256, or that of a keyed hasher, without its goroutines, of which it
// starts one for each 16 KiB: a mover hashes many chunks at once already, and the
// allocations and switches cost more than they bring.
func (h hasher) sum(b []byte) (sum [32]byte) {
	root := h.subtree(b, 0)
	root.Flags |= guts.FlagRoot
	out := guts.WordsToBytes(guts.CompressNode(root))
	copy(sum[:], out[:])
	return sum
}

// subtree is the node above b, whose first byte is that of the chunk that counter
// says. A left child holds a power of two of chunks, as many as leave something to
// the right one (BLAKE3 paper, section 2.1).
func (h hasher) subtree(b []byte, counter uint64) guts.Node {
	key, flag := h.mode()
	switch {
	case len(b) == sumBlock:
		return guts.CompressBuffer((*[sumBlock]byte)(b), sumBlock, key, counter, flag)
	case len(b) <= guts.ChunkSize:
		return guts.CompressChunk(b, key, counter, flag)
	case len(b) < sumBlock:
		return h.shortSubtree(b, counter)
	}
	chunks := uint64(len(b)-1) / guts.ChunkSize // whole ones, with something after them
	left := uint64(1) << (bits.Len64(chunks) - 1)
	l := h.subtree(b[:left*guts.ChunkSize], counter)
	r := h.subtree(b[left*guts.ChunkSize:], counter+left)
	return guts.ParentNode(guts.ChainingValue(l), guts.ChainingValue(r), key, flag)
}

// shortSubtree has a frame of its own for the copy that the library needs.
func (h hasher) shortSubtree(b []byte, counter uint64) guts.Node {
	key, flag := h.mode()
	var block [sumBlock]byte
	copy(block[:], b)
	return guts.CompressBuffer(&block, len(b), key, counter, flag)
}
