package format

import (
	"bytes"
	"slices"

	"ivdmover/shared/ivd"
)

const packRefSize = 64

// OwnPack stands in a page for the pack that the page itself lies in, whose id
// cannot be known before the page is written. Its writer and its nonce are zero.
// Resolve replaces it. As an id it is the highest one.
var OwnPack = ivd.PackRef{Pack: ivd.PackID(bytes.Repeat([]byte{0xff}, 32))}

// PackSet is a set of packs in the order of their ids.
type PackSet []ivd.PackRef

// Find returns where the pack is in the set.
func (s PackSet) Find(id ivd.PackID) (int, bool) {
	return slices.BinarySearchFunc(s, id, func(r ivd.PackRef, id ivd.PackID) int { return bytes.Compare(r.Pack[:], id[:]) })
}

// Has reports whether the set names the pack, its writer and its nonce.
func (s PackSet) Has(ref ivd.PackRef) bool {
	i, ok := s.Find(ref.Pack)
	return ok && s[i] == ref
}

// Add adds a pack to the set unless it is in it.
func (s *PackSet) Add(ref ivd.PackRef) {
	if i, ok := s.Find(ref.Pack); !ok {
		*s = slices.Insert(*s, i, ref)
	}
}

func (s PackSet) append(b []byte) []byte {
	for _, r := range s {
		b = append(b, r.Pack[:]...)
		b = append(b, r.Writer[:]...)
		b = append(b, r.Nonce[:]...)
	}
	return b
}

// readPackSet reads n packs from b, which is long enough.
func readPackSet(b []byte, n int) (PackSet, error) {
	s := make(PackSet, n)
	for i := range s {
		r := b[i*packRefSize : (i+1)*packRefSize]
		s[i] = ivd.PackRef{Pack: ivd.PackID(r[:32]), Writer: ivd.WriterID(r[32:48]), Nonce: ivd.Nonce(r[48:])}
		if i > 0 && bytes.Compare(s[i-1].Pack[:], s[i].Pack[:]) >= 0 {
			return nil, corrupt("pack table is not in order at %d", i)
		}
		if s[i].Pack == OwnPack.Pack && s[i] != OwnPack {
			return nil, unsupported("pack table's own pack has writer %s and nonce %s, which this release does not know", s[i].Writer, s[i].Nonce)
		}
	}
	if n > 0 && s[0].Pack.IsZero() {
		return nil, corrupt("pack table names no pack")
	}
	return s, nil
}

// checkPlace refuses a place that cannot hold a frame of up to maxPlain bytes.
// MaxPlain is no content's size, but what this release takes.
func checkPlace(offset, length uint32, maxPlain int64) error {
	if maxPlain == MaxPlain && int64(length) > MaxPlain+FrameOverhead {
		return unsupported("a frame of %d bytes: this release takes a content of at most %d", length, MaxPlain)
	}
	if length <= FrameOverhead || int64(length) > maxPlain+FrameOverhead {
		return corrupt("a frame of %d bytes for content of at most %d", length, maxPlain)
	}
	if offset < PackHeaderSize {
		return corrupt("a frame at %d+%d", offset, length)
	}
	if int64(offset)+int64(length) > MaxPackSize {
		return unsupported("a frame at %d+%d: this release takes packs of at most %d bytes", offset, length, MaxPackSize)
	}
	return nil
}
