package format

import (
	"bytes"
	"slices"

	"ivdmover/shared/ivd"
)

// PackRef names a pack and who wrote it, whose key opens it where the repository
// is encrypted.
type PackRef struct {
	ID     ivd.PackID
	Writer ivd.WriterID
}

const packRefSize = 48

// OwnPack stands in a page for the pack that the page itself lies in, whose id
// cannot be known before the page is written. Resolve replaces it. As an id it is
// the highest one.
var OwnPack = ivd.PackID(bytes.Repeat([]byte{0xff}, 32))

// PackSet is a set of packs in the order of their ids.
type PackSet []PackRef

// Find says where the pack is in the set.
func (s PackSet) Find(id ivd.PackID) (int, bool) {
	return slices.BinarySearchFunc(s, id, func(r PackRef, id ivd.PackID) int { return bytes.Compare(r.ID[:], id[:]) })
}

// Add adds a pack to the set unless it is in it.
func (s *PackSet) Add(ref PackRef) {
	if i, ok := s.Find(ref.ID); !ok {
		*s = slices.Insert(*s, i, ref)
	}
}

func (s PackSet) append(b []byte) []byte {
	for _, r := range s {
		b = append(b, r.ID[:]...)
		b = append(b, r.Writer[:]...)
	}
	return b
}

// readPackSet reads n packs from b, which is long enough.
func readPackSet(b []byte, n int) (PackSet, error) {
	s := make(PackSet, n)
	for i := range s {
		r := b[i*packRefSize : (i+1)*packRefSize]
		s[i] = PackRef{ID: ivd.PackID(r[:32]), Writer: ivd.WriterID(r[32:])}
		if i > 0 && bytes.Compare(s[i-1].ID[:], s[i].ID[:]) >= 0 {
			return nil, corrupt("pack table is not in order at %d", i)
		}
	}
	if n > 0 && s[0].ID.IsZero() {
		return nil, corrupt("pack table names no pack")
	}
	return s, nil
}

// checkPlace refuses a place that cannot hold a frame of up to maxPlain bytes.
func checkPlace(offset, length uint32, maxPlain int64) error {
	if length <= FrameOverhead || int64(length) > maxPlain+FrameOverhead {
		return corrupt("a frame of %d bytes for content of at most %d", length, maxPlain)
	}
	if offset < PackHeaderSize || int64(offset)+int64(length) > MaxPackSize {
		return corrupt("a frame at %d+%d", offset, length)
	}
	return nil
}
