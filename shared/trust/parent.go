package trust

import (
	"context"
	"fmt"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// ParentPage is a page of the parent point, and what of it a child may take over.
type ParentPage struct {
	*format.Page
	ref      ivd.PageRef
	bad      map[ivd.PackID]struct{} // of Packs: what must not be relied on
	takeable [ivd.SpansPerPage]bool
	whole    bool
}

// Takeable reports whether the child may take a span over from the page as it is. A
// span that is not takeable is made anew: its chunks whose packs are trusted are
// as in the parent's node, the others count as changed. Spans that the child's
// disk or the parent's does not have, or that have grown or shrunk, are not
// takeable.
func (p *ParentPage) Takeable(span ivd.SpanIndex) bool {
	i := span - p.Index.FirstSpan()
	return i >= 0 && int(i) < len(p.Spans) && p.takeable[i]
}

// Whole returns the reference to the page itself, where the child may name it as it is
// because nothing of it has changed.
func (p *ParentPage) Whole() (ivd.PageRef, bool) { return p.ref, p.whole }

// Trusted reports whether a pack may be relied on. The page must need it.
func (p *ParentPage) Trusted(pack ivd.PackID) bool {
	_, bad := p.bad[pack]
	return !bad
}

// Taking is what a child takes from a page of its parent.
type Taking struct {
	// SealedAt is the parent point's, as far as it counts (repo.KnownAt).
	SealedAt time.Time
	// Begun is when the run began that made the parent, by the store's clock: of what
	// is taken over unseen that is asked for whose turn came since. Zero: nothing of it
	// is, by this run's own checkpoint.
	Begun time.Time
	// Builds reports whether a span is read, or a part of it: whatever it lies in is
	// asked for. Nil: none is.
	Builds func(ivd.SpanIndex) bool

	Parent, Child ivd.Geometry // how their disks are cut
}

// ParentPage reads a page of the parent and finds out what of it the child may
// take over (W4). Kind NotFound or Corrupt: the page is gone or damaged, and nothing
// of it may be taken over.
func (t *Trust) ParentPage(ctx context.Context, ref ivd.PageRef, k Taking) (*ParentPage, error) {
	if k.Parent.ChunkSize != k.Child.ChunkSize {
		return nil, ivd.Errorf(ivd.Invalid, "page %d: the parent's chunks are of %d bytes, the child's of %d", ref.Page, k.Parent.ChunkSize, k.Child.ChunkSize)
	}
	page, err := t.r.Page(ctx, ref, k.Parent)
	if err != nil {
		if kind := ivd.KindOf(err); kind == ivd.NotFound || kind == ivd.Corrupt {
			return nil, &ivd.Error{Kind: kind, Op: "read the parent", Err: err, Remedy: "back the disk up with --full"}
		}
		return nil, fmt.Errorf("read the parent: %w", err)
	}
	p := &ParentPage{Page: page, ref: ref, bad: map[ivd.PackID]struct{}{}}
	trusted, err := t.packs(ctx, ref, page, k)
	if err != nil {
		return nil, fmt.Errorf("page %d of the parent: %w", ref.Page, err)
	}
	for _, r := range page.Packs {
		if !trusted[r.Pack] {
			p.bad[r.Pack] = struct{}{}
		}
	}
	p.whole = trusted[ref.Place.Pack] && ref.Page < k.Child.Pages() && k.Child.PageSpans(ref.Page) == len(page.Spans)
	for i, s := range page.Spans {
		take := k.same(ref.Page.FirstSpan() + ivd.SpanIndex(i))
		for _, n := range s.Needs {
			take = take && trusted[page.Packs[n].Pack]
		}
		p.takeable[i] = take
		p.whole = p.whole && take
	}
	return p, nil
}

// same reports whether the child's disk has a span, and it is as long as the
// parent's.
func (k Taking) same(span ivd.SpanIndex) bool {
	return span < k.Child.Spans() && k.Child.Span(span) == k.Parent.Span(span)
}

// packs judges each pack of a page's set, and the one that the page lies in.
func (t *Trust) packs(ctx context.Context, ref ivd.PageRef, page *format.Page, k Taking) (map[ivd.PackID]bool, error) {
	built := map[ivd.PackID]bool{}
	for i, s := range page.Spans {
		if span := page.Index.FirstSpan() + ivd.SpanIndex(i); k.Builds != nil && (k.Builds(span) || !k.same(span)) {
			for _, n := range s.Needs {
				built[page.Packs[n].Pack] = true
			}
		}
	}
	return t.judge(ctx, page.Kinds(ref), func(pack ivd.PackID) asking {
		return asking{knownAt: k.SealedAt, since: k.Begun, always: built[pack]}
	})
}
