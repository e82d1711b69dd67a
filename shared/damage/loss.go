package damage

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// Needs returns which of the packs that bad names a page of a point needs, the one
// that it lies in among them, in the order of their ids. Kind NotFound or Corrupt: the
// page cannot be read.
func Needs(ctx context.Context, r *repo.Repository, ref ivd.PageRef, g ivd.Geometry, bad func(ivd.PackID) bool) ([]ivd.PackID, error) {
	page, err := r.Page(ctx, ref, g)
	if err != nil {
		return nil, err
	}
	var packs []ivd.PackID
	for _, p := range page.Packs {
		if bad(p.Pack) {
			packs = append(packs, p.Pack)
		}
	}
	if bad(ref.Place.Pack) {
		packs = append(packs, ref.Place.Pack)
	}
	return Sorted(packs), nil
}

// Sorted puts packs in the order of their ids, each once.
func Sorted(packs []ivd.PackID) []ivd.PackID {
	slices.SortFunc(packs, func(a, b ivd.PackID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(packs)
}

// Loss is what of a restore point cannot be read any more.
type Loss struct {
	Ranges []ivd.Extent // of the disk, in order
	Packs  []ivd.PackID // in which they lay, in the order of their ids
}

// Bytes is how much is lost.
func (l Loss) Bytes() (n int64) {
	for _, e := range l.Ranges {
		n += e.Length
	}
	return n
}

// Chunks is of how many chunks something is lost.
func (l Loss) Chunks(g ivd.Geometry) (n int64) {
	for _, e := range l.Ranges {
		n += (e.Length + g.ChunkSize - 1) / g.ChunkSize
	}
	return n
}

// rangesTold is how many ranges are named; more are only counted.
const rangesTold = 8

// String tells people which ranges are lost.
func (l Loss) String() string {
	var b strings.Builder
	for i, e := range l.Ranges[:min(len(l.Ranges), rangesTold)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d to %d", e.Offset, e.End())
	}
	if n := len(l.Ranges) - rangesTold; n > 0 {
		fmt.Fprintf(&b, " and %d more", n)
	}
	return b.String()
}

// What is read at once to find out what is lost.
const (
	spansAtOnce = 16
	pagesAtOnce = 4
)

// Of finds what of a point is lost with the packs that bad names: it reads the point's
// pages, the nodes of spans that need one of those packs, and of these each chunk that
// lies in one. What can still be read, and is what its name says, is not lost.
func Of(ctx context.Context, r *repo.Repository, p format.Point, bad func(ivd.PackID) bool) (Loss, error) {
	s := &search{r: r, g: p.Geometry, bad: bad, gone: map[ivd.PackID]bool{}}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(pagesAtOnce)
	for _, ref := range p.Pages {
		group.Go(func() error { return s.page(ctx, ref) })
	}
	if err := group.Wait(); err != nil {
		return Loss{}, fmt.Errorf("find what of %s is lost: %w", p.ID, err)
	}
	slices.SortFunc(s.loss.Ranges, func(a, b ivd.Extent) int { return cmp.Compare(a.Offset, b.Offset) })
	var joined []ivd.Extent
	for _, e := range s.loss.Ranges {
		if n := len(joined); n > 0 && joined[n-1].End() == e.Offset {
			joined[n-1].Length += e.Length
			continue
		}
		joined = append(joined, e)
	}
	return Loss{Ranges: joined, Packs: Sorted(s.loss.Packs)}, nil
}

// search is a Loss that is being found.
type search struct {
	r   *repo.Repository
	g   ivd.Geometry
	bad func(ivd.PackID) bool

	mu   sync.Mutex
	loss Loss
	gone map[ivd.PackID]bool // packs that are not there: nothing of them is asked for again
}

func (s *search) lose(e ivd.Extent, pack ivd.PackID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loss.Ranges, s.loss.Packs = append(s.loss.Ranges, e), append(s.loss.Packs, pack)
}

// isLost reports whether an error says that something is gone or damaged, for sure.
func isLost(err error) bool {
	k := ivd.KindOf(err)
	return k == ivd.NotFound || k == ivd.Corrupt
}

func (s *search) page(ctx context.Context, ref ivd.PageRef) error {
	page, err := s.r.Page(ctx, ref, s.g)
	if isLost(err) {
		first := ref.Page.FirstSpan()
		last := first + ivd.SpanIndex(s.g.PageSpans(ref.Page)) - 1
		off := s.g.Span(first).Offset
		s.lose(ivd.Extent{Offset: off, Length: s.g.Span(last).End() - off}, ref.Place.Pack)
		return nil
	}
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(spansAtOnce)
	for i, span := range page.Spans {
		if !slices.ContainsFunc(span.Needs, func(n uint32) bool { return s.bad(page.Packs[n].Pack) }) {
			continue
		}
		group.Go(func() error { return s.span(ctx, page, ref.Page.FirstSpan()+ivd.SpanIndex(i)) })
	}
	return group.Wait()
}

func (s *search) span(ctx context.Context, page *format.Page, span ivd.SpanIndex) error {
	node, err := s.r.SpanNode(ctx, page, span)
	if isLost(err) {
		s.lose(s.g.Span(span), page.Ref(span).Place.Pack)
		return nil
	}
	if err != nil {
		return err
	}
	for i, c := range node.Chunks {
		if c.Zero() || !s.bad(c.Place.Pack) {
			continue
		}
		lost, err := s.chunk(ctx, c)
		if err != nil {
			return err
		}
		if lost {
			s.lose(s.g.Chunk(span.FirstChunk()+ivd.ChunkIndex(i)), c.Place.Pack)
		}
	}
	return nil
}

// chunk reports whether a chunk cannot be read any more.
func (s *search) chunk(ctx context.Context, c format.Chunk) (bool, error) {
	s.mu.Lock()
	gone := s.gone[c.Place.Pack]
	s.mu.Unlock()
	if gone {
		return true, nil
	}
	frame := make([]byte, c.Place.Length)
	err := s.r.ReadData(ctx, frame, c.Place.Pack, c.Place.Offset)
	if ivd.KindOf(err) == ivd.NotFound {
		s.mu.Lock()
		s.gone[c.Place.Pack] = true
		s.mu.Unlock()
	}
	var o *format.Opener
	if err == nil {
		o, err = s.r.Opener(ctx, format.DataPack, c.Place.PackRef)
	}
	if err == nil {
		_, err = o.Frame(nil, frame, c.ID)
	}
	if isLost(err) {
		return true, nil
	}
	return false, err
}
