package plan

import (
	"cmp"
	"encoding/binary"
	"slices"

	"ivdmover/shared/ivd"
)

// Cover is what is read of a disk where these areas are asked for: whole chunks, in
// order and apart from each other, and how many bytes that is.
func Cover(g ivd.Geometry, areas []ivd.Extent) (list []ivd.Extent, bytes int64) {
	sorted := slices.SortedFunc(slices.Values(areas), func(a, b ivd.Extent) int { return cmp.Compare(a.Offset, b.Offset) })
	for _, a := range sorted {
		if a.Length <= 0 || a.Offset < 0 || a.Offset >= g.Capacity {
			continue
		}
		start := a.Offset - a.Offset%g.ChunkSize
		end := a.Offset + min(a.Length, g.Capacity-a.Offset)
		end = min(end+(g.ChunkSize-end%g.ChunkSize)%g.ChunkSize, g.Capacity)
		if n := len(list); n > 0 && list[n-1].End() >= start {
			list[n-1].Length = max(list[n-1].End(), end) - list[n-1].Offset
			continue
		}
		list = append(list, ivd.Extent{Offset: start, Length: end - start})
	}
	for _, e := range list {
		bytes += e.Length
	}
	return list, bytes
}

// EncodeAreas writes areas that are in order and apart from each other, in a few bytes
// each: the gap before it, and its length.
func EncodeAreas(areas []ivd.Extent) []byte {
	text := []byte{}
	at := int64(0)
	for _, a := range areas {
		text = binary.AppendUvarint(text, uint64(a.Offset-at))
		text = binary.AppendUvarint(text, uint64(a.Length))
		at = a.End()
	}
	return text
}

// DecodeAreas reads what EncodeAreas wrote.
func DecodeAreas(text []byte) (areas []ivd.Extent, err error) {
	at := int64(0)
	for len(text) > 0 {
		gap, n := binary.Uvarint(text)
		length, m := binary.Uvarint(text[max(n, 0):])
		if n <= 0 || m <= 0 || gap > uint64(ivd.MaxCapacity) || length > uint64(ivd.MaxCapacity) || at+int64(gap)+int64(length) > ivd.MaxCapacity {
			return nil, ivd.Errorf(ivd.Corrupt, "areas: the one after %d bytes is none", at)
		}
		areas = append(areas, ivd.Extent{Offset: at + int64(gap), Length: int64(length)})
		at += int64(gap) + int64(length)
		text = text[n+m:]
	}
	return areas, nil
}
