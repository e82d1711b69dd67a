package pipeline

import (
	"context"
	"sync"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// parent is the restore point that a backup builds on, or none. What it hands out
// by reference has passed the writer's test: its packs are on no condemned list
// and are known to exist. That the parent's point stands proves nothing.
type parent struct {
	repository *repo.Repository
	writer     *repo.Writer
	of         *job.Parent // nil: there is none

	mu   sync.Mutex
	good map[ivd.PackID]bool
}

// parentPage is a page of the parent.
type parentPage struct {
	index ivd.PageIndex
	page  *repo.ParentPage // nil: zeros, or lost
	lost  bool             // it is gone or damaged: nothing is known of its spans
}

func newParent(r *repo.Repository, w *repo.Writer, of *job.Parent) *parent {
	return &parent{repository: r, writer: w, of: of, good: map[ivd.PackID]bool{}}
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
		if pp.page, err = p.writer.ParentPage(ctx, ref, p.of.Committed, p.of.Geometry, g); err != nil {
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

// zero tells that the span is known to be zeros, or that there is no parent.
func (pp *parentPage) zero(span ivd.SpanIndex) bool {
	e := pp.entry(span)
	return e == nil || e.State == format.SpanZero
}

// takeable tells whether a span that the parent has may be taken over by reference.
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

// trusted tells whether a pack that the parent names may be relied on. Packs are
// asked about once.
func (p *parent) trusted(ctx context.Context, pack ivd.PackID) (bool, error) {
	p.mu.Lock()
	good, asked := p.good[pack]
	p.mu.Unlock()
	if asked {
		return good, nil
	}
	good, err := p.writer.Trusted(ctx, pack, p.of.Committed)
	if err != nil {
		return false, err
	}
	p.mu.Lock()
	p.good[pack] = good
	p.mu.Unlock()
	return good, nil
}
