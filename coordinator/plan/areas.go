package plan

import (
	"maps"
	"slices"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// work holds the spans that have something to read.
type work map[ivd.SpanIndex]*ivd.Bitmap

// bitmaps marks every chunk of which an area names a byte, and what the parent
// cannot have.
func bitmaps(d Disk) (work, error) {
	w := work{}
	for _, area := range d.Areas {
		if area.Offset < 0 || area.Length < 0 {
			return nil, ivd.Errorf(ivd.Corrupt, "plan: an area of %d bytes at %d", area.Length, area.Offset)
		}
		w.mark(d.Geometry, area)
	}
	if d.Mode == Changed {
		// The parent's last chunk may be short; in the larger disk it is another.
		end := d.Parent.Geometry.Capacity
		if end < d.Geometry.Capacity {
			end -= end % d.Geometry.ChunkSize
			w.mark(d.Geometry, ivd.Extent{Offset: end, Length: d.Geometry.Capacity}) // to the disk's end
		}
	}
	return w, nil
}

// mark marks the chunks that an area touches. An area may end beyond the disk:
// some vSphere versions answer in whole blocks.
func (w work) mark(g ivd.Geometry, area ivd.Extent) {
	if area.Length == 0 || area.Offset >= g.Capacity {
		return
	}
	length := min(area.Length, g.Capacity-area.Offset) // never adds what could overflow
	first := ivd.ChunkIndex(area.Offset / g.ChunkSize)
	last := ivd.ChunkIndex((area.Offset + length - 1) / g.ChunkSize)
	for span := first.Span(); span <= last.Span(); span++ {
		b := w[span]
		if b == nil {
			b = new(ivd.Bitmap)
			w[span] = b
		}
		base := span.FirstChunk()
		b.SetRange(int(max(first-base, 0)), int(min(last-base+1, ivd.ChunksPerSpan)))
	}
}

// page is the work of one page's spans, in order.
func (w work) page(page ivd.PageIndex) []job.SpanWork {
	var spans []job.SpanWork
	for span := page.FirstSpan(); span < (page + 1).FirstSpan(); span++ {
		if b := w[span]; b != nil {
			spans = append(spans, job.SpanWork{Span: span, Read: *b})
		}
	}
	return spans
}

// bytes sums, for each page that has any, what there is to read.
func (w work) bytes(g ivd.Geometry) map[ivd.PageIndex]int64 {
	sum := map[ivd.PageIndex]int64{}
	for _, span := range slices.Sorted(maps.Keys(w)) {
		b := w[span]
		n := int64(b.Count()) * g.ChunkSize
		if last := g.Chunks() - 1; last.Span() == span && b.Has(int(last-span.FirstChunk())) {
			n -= g.ChunkSize - g.Chunk(last).Length
		}
		sum[span.Page()] += n
	}
	return sum
}
