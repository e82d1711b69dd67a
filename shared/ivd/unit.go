package ivd

import "fmt"

// ChunkIndex counts chunks from a disk's beginning.
type ChunkIndex int64

// SpanIndex counts spans from a disk's beginning.
type SpanIndex int64

// PageIndex counts pages from a disk's beginning.
type PageIndex int64

// Geometry is how one disk is cut. Capacity need be no multiple of anything: the
// last chunk is as short as it must be.
type Geometry struct {
	Capacity  int64 `json:"capacity"`
	ChunkSize int64 `json:"chunk_size"`
}

// MaxCapacity is the largest disk that is accepted: vSphere's own limit is 62 TiB.
const MaxCapacity = 1 << 50

// AutoChunkSize is the chunk size of a disk's first backup. A child keeps its
// parent's.
func AutoChunkSize(capacity int64) int64 {
	if capacity > LargeDisk {
		return LargeChunkSize
	}
	return DefaultChunkSize
}

// Validate checks the figures before anything is divided by them.
func (g Geometry) Validate() error {
	if g.Capacity < 0 || g.Capacity > MaxCapacity {
		return fmt.Errorf("capacity %d: want 0 to %d bytes", g.Capacity, int64(MaxCapacity))
	}
	if g.ChunkSize < MinChunkSize || g.ChunkSize > MaxChunkSize || g.ChunkSize&(g.ChunkSize-1) != 0 {
		return fmt.Errorf("chunk size %d: want a power of two from %d to %d", g.ChunkSize, MinChunkSize, MaxChunkSize)
	}
	return nil
}

// SpanSize is the bytes of a whole span, PageSize those of a whole page.
func (g Geometry) SpanSize() int64 { return g.ChunkSize * ChunksPerSpan }

// PageSize is the bytes of a whole page.
func (g Geometry) PageSize() int64 { return g.SpanSize() * SpansPerPage }

// Chunks counts the chunks that hold at least one byte of the disk.
func (g Geometry) Chunks() ChunkIndex { return ChunkIndex(ceil(g.Capacity, g.ChunkSize)) }

// Spans counts the disk's spans.
func (g Geometry) Spans() SpanIndex { return SpanIndex(ceil(g.Capacity, g.SpanSize())) }

// Pages counts the disk's pages.
func (g Geometry) Pages() PageIndex { return PageIndex(ceil(g.Capacity, g.PageSize())) }

// Chunk is where a chunk lies on the disk; the last one may be short.
func (g Geometry) Chunk(i ChunkIndex) Extent {
	off := int64(i) * g.ChunkSize
	return Extent{Offset: off, Length: min(g.ChunkSize, g.Capacity-off)}
}

// Span is where a span lies on the disk; the last one may be short.
func (g Geometry) Span(i SpanIndex) Extent {
	off := int64(i) * g.SpanSize()
	return Extent{Offset: off, Length: min(g.SpanSize(), g.Capacity-off)}
}

// SpanChunks is how many chunks span i has: ChunksPerSpan, or fewer at the end.
func (g Geometry) SpanChunks(i SpanIndex) int {
	return int(min(ChunksPerSpan, int64(g.Chunks())-int64(i)*ChunksPerSpan))
}

// PageSpans is how many spans page i has: SpansPerPage, or fewer at the end.
func (g Geometry) PageSpans(i PageIndex) int {
	return int(min(SpansPerPage, int64(g.Spans())-int64(i)*SpansPerPage))
}

// Page is the page that the span belongs to.
func (s SpanIndex) Page() PageIndex { return PageIndex(s / SpansPerPage) }

// Span is the span that the chunk belongs to.
func (c ChunkIndex) Span() SpanIndex { return SpanIndex(c / ChunksPerSpan) }

// FirstSpan is the page's first span.
func (p PageIndex) FirstSpan() SpanIndex { return SpanIndex(p) * SpansPerPage }

// FirstChunk is the span's first chunk.
func (s SpanIndex) FirstChunk() ChunkIndex { return ChunkIndex(s) * ChunksPerSpan }

func ceil(n, unit int64) int64 { return (n + unit - 1) / unit }
