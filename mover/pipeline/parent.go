package pipeline

import (
	"context"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/trust"
)

// parent is the restore point that a backup builds on, or none. What it hands out
// by reference has been trusted.
type parent struct {
	repository *repo.Repository
	trust      *trust.Trust
	of         *job.Parent // nil: there is none
	tick       func()
}

// parentPage is a page of the parent.
type parentPage struct {
	index ivd.PageIndex
	page  *trust.ParentPage // nil: zeros, or lost
	lost  bool              // it is gone or damaged: nothing is known of its spans
}

// page reads a page of the parent, of which those spans are built on that builds says.
func (p *parent) page(ctx context.Context, index ivd.PageIndex, g ivd.Geometry, builds func(ivd.SpanIndex) bool) (*parentPage, error) {
	pp := &parentPage{index: index}
	if p.of == nil {
		return pp, nil
	}
	for _, ref := range p.of.Pages {
		if ref.Page != index {
			continue
		}
		k := trust.Taking{SealedAt: p.of.SealedAt, Begun: p.of.Point.Time(), Builds: builds, Parent: p.of.Geometry, Child: g}
		var err error
		if pp.page, err = p.trust.ParentPage(ctx, ref, k); err != nil {
			pp.lost = true
			return pp, p.lost(ctx, ref.Place.Pack, err)
		}
	}
	return pp, nil
}

// lost lets an error pass unless it says that what was asked for is certainly not
// there any more, or damaged.
func lost(err error) error {
	switch ivd.KindOf(err) {
	case ivd.NotFound, ivd.Corrupt:
		return nil
	}
	return err
}

// lost is the function of that name for what lies in an index pack of the parent's,
// which is looked at more closely.
func (p *parent) lost(ctx context.Context, pack ivd.PackID, err error) error {
	if err := lost(err); err != nil {
		return err
	}
	return p.trust.Suspect(ctx, format.IndexPack, pack, p.tick)
}

// entry is the page's entry for a span; nil where the page has none.
func (pp *parentPage) entry(span ivd.SpanIndex) *format.Span {
	i := int(span - pp.index.FirstSpan())
	if pp.page == nil || i >= len(pp.page.Spans) {
		return nil
	}
	return &pp.page.Spans[i]
}

// zero reports whether the span is known to be zeros, or there is no parent.
func (pp *parentPage) zero(span ivd.SpanIndex) bool {
	e := pp.entry(span)
	return e == nil || e.State == format.SpanZero
}

// takeable reports whether a span that the parent has may be taken over by reference.
func (pp *parentPage) takeable(span ivd.SpanIndex) bool {
	return pp.page != nil && pp.page.Takeable(span)
}

// node reads a span's node; nil where it is gone or damaged.
func (p *parent) node(ctx context.Context, pp *parentPage, span ivd.SpanIndex) (*format.Node, error) {
	node, err := p.repository.SpanNode(ctx, pp.page.Page, span)
	if err != nil {
		return nil, p.lost(ctx, pp.page.Ref(span).Place.Pack, err)
	}
	return node, nil
}
