package image

import (
	"context"
	"iter"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Extent is a range of the disk that is all zeros, or that holds data.
type Extent struct {
	ivd.Extent
	Zero bool
}

// nodesAhead is how many nodes are asked for before it is their turn.
const nodesAhead = 16

// Extents yields what of a range of the disk holds data and what is zeros, in order
// and without gaps, in chunks: the longest ranges there are. Chunks are not read.
func (im *Image) Extents(ctx context.Context, within ivd.Extent) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		var last Extent
		for s, err := range im.spans(ctx, one(within)) {
			if err != nil {
				yield(Extent{}, err)
				return
			}
			for e := range im.chunksOf(s) {
				switch {
				case last.Length > 0 && last.Zero == e.chunk.Zero():
					last.Length += e.Length
					continue
				case last.Length > 0 && !yield(last, nil):
					return
				}
				last = Extent{e.Extent, e.chunk.Zero()}
			}
		}
		if last.Length > 0 {
			yield(last, nil)
		}
	}
}

func one(e ivd.Extent) iter.Seq[ivd.Extent] {
	return func(yield func(ivd.Extent) bool) { yield(e) }
}

// spanOf is what is wanted of a span.
type spanOf struct {
	index ivd.SpanIndex
	ivd.Extent
	node *format.Node // nil: zeros
}

// spans yields the spans of ranges of the disk in order, with their nodes.
func (im *Image) spans(ctx context.Context, ranges iter.Seq[ivd.Extent]) iter.Seq2[spanOf, error] {
	read := func(ctx context.Context, s spanOf) (_ spanOf, err error) {
		s.node, err = im.node(ctx, s.index)
		return s, err
	}
	cut := func(context.Context) iter.Seq2[spanOf, error] { return im.cut(ranges) }
	return ahead(ctx, nodesAhead, cut, read, nothing)
}

// cut cuts ranges at the ends of spans.
func (im *Image) cut(ranges iter.Seq[ivd.Extent]) iter.Seq2[spanOf, error] {
	g := im.point.Geometry
	return func(yield func(spanOf, error) bool) {
		for r := range ranges {
			if r.Offset < 0 || r.Length < 0 || r.Offset > g.Capacity-r.Length {
				yield(spanOf{}, ivd.Errorf(ivd.Invalid, "read %s: %d bytes at %d of a disk of %d", im.point.ID, r.Length, r.Offset, g.Capacity))
				return
			}
			for off := r.Offset; off < r.End(); {
				s := spanOf{index: ivd.SpanIndex(off / g.SpanSize())}
				s.Extent = ivd.Extent{Offset: off, Length: min(g.Span(s.index).End(), r.End()) - off}
				if !yield(s, nil) {
					return
				}
				off = s.End()
			}
		}
	}
}

// chunkOf is what is wanted of a chunk.
type chunkOf struct {
	ivd.Extent            // of the disk, within the chunk
	whole      ivd.Extent // the chunk
	chunk      format.Chunk
}

// chunksOf yields what is wanted of a span, chunk by chunk; all of a span of zeros at
// once.
func (im *Image) chunksOf(s spanOf) iter.Seq[chunkOf] {
	g := im.point.Geometry
	return func(yield func(chunkOf) bool) {
		if s.node == nil {
			yield(chunkOf{Extent: s.Extent, whole: s.Extent})
			return
		}
		for off := s.Offset; off < s.End(); {
			i := ivd.ChunkIndex(off / g.ChunkSize)
			c := chunkOf{whole: g.Chunk(i), chunk: s.node.Chunks[i-s.index.FirstChunk()]}
			c.Extent = ivd.Extent{Offset: off, Length: min(c.whole.End(), s.End()) - off}
			if !yield(c) {
				return
			}
			off = c.End()
		}
	}
}
