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
}

// parentPage is a page of the parent.
type parentPage struct {
	index ivd.PageIndex
	page  *trust.ParentPage // nil: zeros, or lost
	lost  bool              // it is gone or damaged: nothing is known of its spans
}

// page reads a page of the parent.
func (p *parent) page(ctx context.Context, index ivd.PageIndex, g ivd.Geometry) (*parentPage, error) {
	pp := &parentPage{index: index}
	if p.of == nil {
		return pp, nil
	}
	for _, ref := range p.of.Pages {
		if ref.Page != index {
			continue
		}
		var err error
		if pp.page, err = p.trust.ParentPage(ctx, ref, p.of.SealedAt, p.of.Geometry, g); err != nil {
			pp.lost = true
			return pp, lost(err)
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
		return nil, lost(err)
	}
	return node, nil
}

// trusted reports whether a pack that the parent names may be relied on.
func (p *parent) trusted(ctx context.Context, pack ivd.PackID) (bool, error) {
	return p.trust.Pack(ctx, pack, p.of.SealedAt)
}
