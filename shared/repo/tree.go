package repo

import (
	"context"
	"fmt"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Page reads a page of a disk that is cut as g says, with one ranged request, and
// checks it. The page that is returned names its own pack by its id.
func (r *Repository) Page(ctx context.Context, ref ivd.PageRef, g ivd.Geometry) (*format.Page, error) {
	plain, err := r.frame(ctx, ref.Place, ref.ID)
	if err != nil {
		return nil, fmt.Errorf("page %d: %w", ref.Page, err)
	}
	p, err := format.DecodePage(plain, g, ref.Page)
	if err != nil {
		return nil, fmt.Errorf("%s at %d: %w", r.PackName(format.IndexPack, ref.Place.Pack), ref.Place.Offset, err)
	}
	p.Resolve(ref.Place.PackRef)
	return p, nil
}

// SpanNode reads the node of a span, which the page must have one of, and checks
// that the page says of every pack in which a chunk lies that the span needs it.
func (r *Repository) SpanNode(ctx context.Context, page *format.Page, span ivd.SpanIndex) (*format.Node, error) {
	ref := page.Ref(span)
	n, err := r.Node(ctx, ref, page.Geometry)
	if err != nil {
		return nil, err
	}
	if err := page.Check(n); err != nil {
		return nil, fmt.Errorf("%s at %d: %w", r.PackName(format.IndexPack, ref.Place.Pack), ref.Place.Offset, err)
	}
	return n, nil
}

// Node reads a node of a disk that is cut as g says, with one ranged request, and
// checks it by itself. Where there is a page that names it, SpanNode checks more.
func (r *Repository) Node(ctx context.Context, ref ivd.NodeRef, g ivd.Geometry) (*format.Node, error) {
	plain, err := r.frame(ctx, ref.Place, ref.ID)
	if err != nil {
		return nil, fmt.Errorf("node of span %d: %w", ref.Span, err)
	}
	n, err := format.DecodeNode(plain, g, ref.Span)
	if err != nil {
		return nil, fmt.Errorf("%s at %d: %w", r.PackName(format.IndexPack, ref.Place.Pack), ref.Place.Offset, err)
	}
	return n, nil
}

// frame reads and opens a frame of an index pack.
func (r *Repository) frame(ctx context.Context, at ivd.Place, id ivd.ContentID) ([]byte, error) {
	name := r.PackName(format.IndexPack, at.Pack)
	if at.Length > format.MaxPlain+format.FrameOverhead {
		return nil, ivd.Errorf(ivd.Unsupported, "%s at %d: a frame of %d bytes: this release takes a content of at most %d", name, at.Offset, at.Length, format.MaxPlain)
	}
	b := make([]byte, at.Length)
	if err := r.st.ReadAt(ctx, name, b, int64(at.Offset)); err != nil {
		return nil, fmt.Errorf("read %s at %d: %w", name, at.Offset, err)
	}
	var plain []byte
	o, err := r.Opener(ctx, format.IndexPack, at.PackRef)
	if err == nil {
		plain, err = o.Frame(nil, b, id)
	}
	if err != nil {
		return nil, fmt.Errorf("%s at %d: %w", name, at.Offset, err)
	}
	return plain, nil
}
