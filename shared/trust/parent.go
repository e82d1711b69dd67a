package trust

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// ParentPage is a page of the parent point, and what of it a child may take over.
type ParentPage struct {
	*format.Page
	ref      ivd.PageRef
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

// ParentPage reads a page of the parent and finds out what of it the child may
// take over (W4). SealedAt is the parent point's, as far as it counts
// (repo.KnownAt); parent and child are how their disks are cut. Kind NotFound: the page is gone, and nothing of it may be
// taken over.
func (t *Trust) ParentPage(ctx context.Context, ref ivd.PageRef, sealedAt time.Time, parent, child ivd.Geometry) (*ParentPage, error) {
	if parent.ChunkSize != child.ChunkSize {
		return nil, ivd.Errorf(ivd.Invalid, "page %d: the parent's chunks are of %d bytes, the child's of %d", ref.Page, parent.ChunkSize, child.ChunkSize)
	}
	page, err := t.r.Page(ctx, ref, parent)
	if err != nil {
		if kind := ivd.KindOf(err); kind == ivd.NotFound || kind == ivd.Corrupt {
			return nil, &ivd.Error{Kind: kind, Op: "read the parent", Err: err, Remedy: "back the disk up with --full"}
		}
		return nil, fmt.Errorf("read the parent: %w", err)
	}
	ok, err := t.packs(ctx, page, sealedAt)
	if err != nil {
		return nil, fmt.Errorf("page %d of the parent: %w", ref.Page, err)
	}
	home, err := t.pack(ctx, ref.Place.Pack, sealedAt, format.IndexPack)
	if err != nil {
		return nil, fmt.Errorf("page %d of the parent: %w", ref.Page, err)
	}
	p := &ParentPage{Page: page, ref: ref}
	p.whole = home && ref.Page < child.Pages() && child.PageSpans(ref.Page) == len(page.Spans)
	for i, s := range page.Spans {
		span := ref.Page.FirstSpan() + ivd.SpanIndex(i)
		take := span < child.Spans() && child.Span(span) == parent.Span(span)
		for _, n := range s.Needs {
			take = take && ok[n]
		}
		p.takeable[i] = take
		p.whole = p.whole && take
	}
	return p, nil
}

// packs is Pack for each pack of a page's set.
func (t *Trust) packs(ctx context.Context, page *format.Page, sealedAt time.Time) ([]bool, error) {
	homes := make(map[ivd.PackID]struct{}, len(page.Spans))
	for _, s := range page.Spans {
		homes[s.Place.Pack] = struct{}{}
	}
	ok := make([]bool, len(page.Packs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, t.r.Store().Properties().Connections))
	for i, ref := range page.Packs {
		kind := format.DataPack
		if _, home := homes[ref.Pack]; home {
			kind = format.IndexPack
		}
		g.Go(func() (err error) {
			ok[i], err = t.pack(ctx, ref.Pack, sealedAt, kind)
			return err
		})
	}
	return ok, g.Wait()
}
