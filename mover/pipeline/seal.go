package pipeline

import (
	"context"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// pageState is the page that is being put together.
type pageState struct {
	parent *parentPage
	page   *format.Page
	same   bool          // every span so far is the parent's
	nodes  []ivd.NodeRef // of spans that are not
}

// indexPack is the index pack of a batch, while it is filled.
type indexPack struct {
	pack *format.Pack
	at   time.Time
}

// seal stores what the batch has and then says so: its data packs, its nodes and
// those of its pages that are complete in an index pack, the checkpoint.
func (b *backup) seal(ctx context.Context, upTo ivd.SpanIndex, done bool) error {
	b.finish(ctx)
	for _, p := range b.batch.packs {
		if _, _, err := next(ctx, p.stored); err != nil {
			return err
		}
		b.batch.stats.Add(ivd.Stats{StoredBytes: int64(p.size), Packs: 1})
		if b.known[p.ref.Pack] == nil {
			b.known[p.ref.Pack] = p
		}
	}
	var x indexPack
	for i := range b.batch.spans {
		if err := b.index(ctx, &x, &b.batch.spans[i]); err != nil {
			return err
		}
		b.batch.spans[i] = built{} // its memory is wanted
	}
	if err := b.putIndex(ctx, &x); err != nil {
		return err
	}
	requests, damaged := b.Trust.Account()
	b.count(ivd.Stats{Asked: requests.All, AskedLists: requests.Lists})
	cp := Batch{Next: upTo, Pages: b.pages, SealedAt: x.at, Incarnation: b.Writer.Incarnation(), Stats: b.batch.stats, Damaged: damaged, Done: done}
	if b.page != nil {
		cp.Nodes = b.page.nodes
	}
	if err := b.Checkpoint(ctx, cp); err != nil {
		return err
	}
	b.Meter.seal()
	b.Meter.tick()
	b.pending.clear() // the writer remembers them
	for _, slot := range b.batch.indexes {
		b.indexes.Put(slot)
	}
	b.batch = batchState{begun: time.Now(), spans: b.batch.spans[:0]}
	return nil
}

// index adds a span to its page, and its node to the index pack unless it is the
// parent's; a page that is complete goes there as well.
func (b *backup) index(ctx context.Context, x *indexPack, s *built) error {
	span := s.span.index
	if b.page == nil {
		b.page = newPageState(b.job.Geometry, s.span.page)
	}
	if err := b.indexSpan(ctx, x, s); err != nil {
		return err
	}
	if span+1 < pageEnd(b.job.Geometry, span.Page()) {
		return nil
	}
	return b.indexPage(ctx, x)
}

func newPageState(g ivd.Geometry, parent *parentPage) *pageState {
	return &pageState{parent: parent, page: format.NewPage(g, parent.index), same: true}
}

func (b *backup) indexSpan(ctx context.Context, x *indexPack, s *built) error {
	span, state := s.span.index, b.page
	if s.span.take {
		state.page.Take(state.parent.page.Page, span)
		return nil
	}
	node := b.node(s)
	if node == nil {
		if !state.parent.zero(span) || state.parent.lost {
			state.change(ivd.NodeRef{Span: span})
		}
		return nil
	}
	plain, err := node.Encode()
	if err != nil {
		return err
	}
	id := b.Repository.Suite().ID(plain)
	if !state.parent.zero(span) && state.parent.page.Ref(span).ID == id {
		if state.parent.takeable(span) { // it was read, and is what it was
			state.page.Take(state.parent.page.Page, span)
			return nil
		}
	}
	place, err := b.addIndex(ctx, x, format.NodeFrame, id, plain)
	if err != nil {
		return err
	}
	ref := ivd.NodeRef{Span: span, ID: id, Place: place}
	state.page.SetNode(ref, node.Packs)
	state.change(ref)
	return nil
}

func (p *pageState) change(ref ivd.NodeRef) {
	p.same = false
	p.nodes = append(p.nodes, ref)
}

// node makes a span's node; nil where the span is zeros.
func (b *backup) node(s *built) *format.Node {
	if s.entries == nil {
		return nil
	}
	n := format.NewNode(b.job.Geometry, s.span.index)
	zero := true
	for i, e := range s.entries {
		if e.pack == nil {
			continue
		}
		zero = false
		n.Set(i, e.id, ivd.Place{PackRef: e.pack.ref, Offset: e.offset, Length: e.length})
	}
	if zero {
		return nil
	}
	return n
}

// indexPage ends a page. One that is as the parent's stays the parent's; one of
// zeros is not written.
func (b *backup) indexPage(ctx context.Context, x *indexPack) error {
	state := b.page
	b.page = nil
	if state.page.Zero() {
		return nil
	}
	if state.same && state.parent.page != nil {
		if ref, ok := state.parent.page.Whole(); ok {
			b.pages = append(b.pages, ref)
			return nil
		}
	}
	plain, err := state.page.Encode()
	if err != nil {
		return err
	}
	// The page may begin another index pack than its last nodes lie in; those are
	// then resolved, which changes its bytes.
	if b.full(x, len(plain)) {
		b.page = state
		if err := b.putIndex(ctx, x); err != nil {
			return err
		}
		b.page = nil
		if plain, err = state.page.Encode(); err != nil {
			return err
		}
	}
	id := b.Repository.Suite().ID(plain)
	place, err := b.addIndex(ctx, x, format.PageFrame, id, plain)
	if err != nil {
		return err
	}
	b.pages = append(b.pages, ivd.PageRef{Page: state.page.Index, ID: id, Place: place})
	return nil
}

func (b *backup) full(x *indexPack, plain int) bool {
	return x.pack != nil && x.pack.Len()+plain+format.FrameOverhead > b.Repository.PackSize()
}

// addIndex adds a frame to the index pack. The place names format.OwnPack until
// the pack has a name.
func (b *backup) addIndex(ctx context.Context, x *indexPack, kind format.FrameKind, id ivd.ContentID, plain []byte) (ivd.Place, error) {
	if b.full(x, len(plain)) {
		if err := b.putIndex(ctx, x); err != nil {
			return ivd.Place{}, err
		}
	}
	if x.pack == nil {
		x.pack = b.Writer.NewPack(format.IndexPack)
	}
	stored, compression := format.Compress(nil, plain, level)
	off, length := x.pack.Add(kind, id, len(plain), compression, stored)
	return ivd.Place{PackRef: format.OwnPack, Offset: off, Length: length}, nil
}

// putIndex stores the index pack, and names it where its frames are named.
func (b *backup) putIndex(ctx context.Context, x *indexPack) error {
	if x.pack == nil {
		return nil
	}
	home, size, at, err := b.Writer.PutPack(ctx, x.pack)
	if err != nil {
		return err
	}
	b.Meter.tick()
	b.count(ivd.Stats{StoredBytes: int64(size), Packs: 1})
	x.pack, x.at = nil, at
	for i := range b.pages {
		if b.pages[i].Place.PackRef == format.OwnPack {
			b.pages[i].Place.PackRef = home
		}
	}
	if b.page == nil {
		return nil
	}
	for i := range b.page.nodes {
		if b.page.nodes[i].Place.PackRef == format.OwnPack {
			b.page.nodes[i].Place.PackRef = home
		}
	}
	b.page.page.Resolve(home)
	return nil
}
