package disk

import (
	"context"

	"ivdmover/shared/ivd"
	"ivdmover/vddk"
)

// maxQuery is how many units one call asks for: VDDK's own limit is above it, and
// an answer of so many blocks is 1 MiB.
const maxQuery = 1 << 16

// Allocated is what of an extent may hold other than zeros, in order, in units of
// granularity (at least VDDK's smallest, 64 KiB). What VDDK cannot be asked about,
// a tail shorter than a unit, counts as allocated; so does everything where this
// transport has no such map.
func (d *Disk) Allocated(ctx context.Context, e ivd.Extent, granularity int64) ([]ivd.Extent, error) {
	unit := max(granularity, vddk.MinChunk*vddk.SectorSize)
	w := widen(e, unit, d.Capacity())
	var list []ivd.Extent
	for off := w.Offset; off < w.End(); off += maxQuery * unit {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		length := min(maxQuery*unit, w.End()-off)
		stop := d.guard(d.host.limits.query)
		blocks, err := d.handle.QueryAllocated(uint64(off/vddk.SectorSize), uint64(length/vddk.SectorSize), uint64(unit/vddk.SectorSize))
		stop()
		if class(err) == vddk.Fallback {
			return []ivd.Extent{e}, nil
		}
		if err != nil {
			return nil, d.fail(err)
		}
		for _, b := range blocks {
			list = appendExtent(list, clip(ivd.Extent{Offset: int64(b.Offset) * vddk.SectorSize, Length: int64(b.Length) * vddk.SectorSize}, e))
		}
	}
	return list, nil
}

// widen makes an extent begin and end at multiples of unit, but not beyond the
// disk's end.
func widen(e ivd.Extent, unit, capacity int64) ivd.Extent {
	from := e.Offset - e.Offset%unit
	to := min((e.End()+unit-1)/unit*unit, capacity)
	return ivd.Extent{Offset: from, Length: to - from}
}

// clip is the part of a within b; its length is not positive where there is none.
func clip(a, b ivd.Extent) ivd.Extent {
	from, to := max(a.Offset, b.Offset), min(a.End(), b.End())
	return ivd.Extent{Offset: from, Length: to - from}
}

// appendExtent joins neighbours.
func appendExtent(list []ivd.Extent, e ivd.Extent) []ivd.Extent {
	if e.Length <= 0 {
		return list
	}
	if n := len(list); n > 0 && list[n-1].End() == e.Offset {
		list[n-1].Length += e.Length
		return list
	}
	return append(list, e)
}
