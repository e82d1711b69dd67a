package pipeline

import (
	"context"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// span is one span of the job, on its way through the pipeline.
type span struct {
	index ivd.SpanIndex
	page  *parentPage

	// What was decided.
	read ivd.Bitmap   // these chunks are read
	take bool         // nothing is: the span is the parent's, by reference
	base *format.Node // of the parent: what the chunks are that are not read; nil: zeros
	old  *format.Node // of the parent: what chunks that are read may still be; nil: unknown

	pieces []*piece
}

// work says what a job reads of each span, as far as the job itself knows.
type work struct {
	job    *job.Job
	source Source
	meter  *Meter
	spans  []job.SpanWork // those not asked for yet

	from, to ivd.SpanIndex // whose allocated areas are known:
	areas    []ivd.Extent
}

func newWork(j *job.Job, source Source, meter *Meter) *work {
	return &work{job: j, source: source, meter: meter, spans: j.Backup.Spans}
}

// read says what to read of a span. Spans are asked for in order.
func (w *work) read(ctx context.Context, span ivd.SpanIndex) (ivd.Bitmap, error) {
	if w.job.Backup.Allocated {
		return w.allocated(ctx, span)
	}
	for len(w.spans) > 0 && w.spans[0].Span < span {
		w.spans = w.spans[1:]
	}
	if len(w.spans) > 0 && w.spans[0].Span == span {
		return w.spans[0].Read, nil
	}
	return ivd.Bitmap{}, nil
}

// builds says which spans of a page are read, or a part of them. Pages are asked for
// in order, before their spans.
func (w *work) builds(page ivd.PageIndex) func(ivd.SpanIndex) bool {
	if w.job.Backup.Allocated {
		return func(ivd.SpanIndex) bool { return true } // the disk tells later
	}
	read := map[ivd.SpanIndex]bool{}
	for _, s := range w.spans {
		if s.Span.Page() == page {
			read[s.Span] = s.Read != ivd.Bitmap{}
		}
	}
	return func(span ivd.SpanIndex) bool { return read[span] }
}

// allocated asks the disk, for some spans at once: each question is a call to the
// host, and its answer is bounded by the extent asked for.
func (w *work) allocated(ctx context.Context, span ivd.SpanIndex) (ivd.Bitmap, error) {
	g := w.job.Geometry
	if span >= w.to {
		w.from, w.to = span, min(span+allocatedFor, g.Spans())
		first, last := g.Span(w.from), g.Span(w.to-1)
		var err error
		w.areas, err = w.source.Allocated(ctx, ivd.Extent{Offset: first.Offset, Length: last.End() - first.Offset}, g.ChunkSize)
		if err != nil {
			return ivd.Bitmap{}, err
		}
		w.meter.tick()
	}
	var b ivd.Bitmap
	e := g.Span(span)
	for len(w.areas) > 0 && w.areas[0].Offset < e.End() {
		a := w.areas[0]
		from, to := max(a.Offset, e.Offset), min(a.End(), e.End())
		if from < to {
			b.SetRange(int((from-e.Offset)/g.ChunkSize), int((to-e.Offset+g.ChunkSize-1)/g.ChunkSize))
		}
		if a.End() > e.End() {
			break // the next span has some of it
		}
		w.areas = w.areas[1:]
	}
	return b, nil
}

// decideEasily decides where no node of the parent is needed.
func (b *backup) decideEasily(s *span) (easy bool) {
	asParent := b.job.Backup.Unread == job.UnreadParent
	switch {
	case asParent && s.page.lost:
		s.read = all(b.job.Geometry, s.index)
		return true
	case s.page.zero(s.index):
		return true
	case !asParent && s.read == (ivd.Bitmap{}):
		return true
	case asParent && s.read == (ivd.Bitmap{}):
		s.take = s.page.takeable(s.index)
		return s.take
	}
	return false
}

// decide reads the parent's node. Where the chunks that are not read are the
// parent's, those that lie in packs which must not be built on are read as well;
// where the node itself is gone, all are.
func (b *backup) decide(ctx context.Context, s *span) error {
	node, err := b.parent.node(ctx, s.page, s.index)
	if err != nil {
		return err
	}
	b.Meter.tick()
	s.old = node
	if b.job.Backup.Unread != job.UnreadParent {
		return nil
	}
	if node == nil {
		s.read = all(b.job.Geometry, s.index)
		return nil
	}
	s.base = node
	g, first := b.job.Geometry, s.index.FirstChunk()
	for i := range g.SpanChunks(s.index) {
		at := first + ivd.ChunkIndex(i)
		if i >= len(node.Chunks) || b.parent.of.Geometry.Chunk(at) != g.Chunk(at) {
			s.read.Set(i) // the disk has grown since
			continue
		}
		c := node.Chunks[i]
		if c.Zero() || s.read.Has(i) {
			continue
		}
		if !s.page.page.Trusted(c.Place.Pack) {
			s.read.Set(i)
		}
	}
	return nil
}

// all marks every chunk of a span.
func all(g ivd.Geometry, span ivd.SpanIndex) (b ivd.Bitmap) {
	b.SetRange(0, g.SpanChunks(span))
	return b
}

// inParent reports whether a chunk that was read is what the parent has at its place.
func (b *backup) inParent(s *span, i ivd.ChunkIndex, id ivd.ContentID) (ivd.Place, bool) {
	if n := int(i - s.index.FirstChunk()); s.old != nil && n < len(s.old.Chunks) {
		if c := s.old.Chunks[n]; !c.Zero() && c.ID == id && s.page.page.Trusted(c.Place.Pack) {
			return c.Place, true
		}
	}
	return ivd.Place{}, false
}
