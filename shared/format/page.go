package format

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"ivdmover/shared/ivd"
)

// SpanState is what a page says of a span.
type SpanState uint8

// The states. Value 2 is kept for a span that a partial point has not done yet;
// no page has it so far, and this release refuses one that does.
const (
	SpanZero SpanState = 0 // all zeros; no node
	SpanNode SpanState = 1 // as its node says

	spanNotDone SpanState = 2
)

// Span is a page's entry for a span.
type Span struct {
	State SpanState
	ID    ivd.ContentID // of the node
	Place ivd.Place     // of the node
	// Needs are indices into the page's Packs: every pack that the span's chunks
	// lie in, and the index pack that its node lies in.
	Needs []uint32
}

// Page is 1,024 spans of a disk: where their nodes lie, and the exact set of packs
// that they need. A page of zeros is not written.
type Page struct {
	Geometry ivd.Geometry
	Index    ivd.PageIndex
	Spans    []Span        // Geometry.PageSpans(Index) of them
	Packs    []ivd.PackRef // in the order of their ids when decoded, in any order while it is filled

	index map[ivd.PackID]uint32 // of Packs, while it is filled
}

// NewPage makes a page of zeros. It must be one of the disk's.
func NewPage(g ivd.Geometry, index ivd.PageIndex) *Page {
	return &Page{Geometry: g, Index: index, Spans: make([]Span, g.PageSpans(index))}
}

// Entry is the page's entry for a span of the disk. The span must be the page's.
func (p *Page) Entry(span ivd.SpanIndex) *Span { return &p.Spans[span-p.Index.FirstSpan()] }

// Ref is the node of a span of the disk. The span must be the page's.
func (p *Page) Ref(span ivd.SpanIndex) ivd.NodeRef {
	e := p.Entry(span)
	return ivd.NodeRef{Span: span, ID: e.ID, Place: e.Place}
}

// Kinds are the packs that the page needs, with the one that it lies in itself, and of
// which kind each is.
func (p *Page) Kinds(home ivd.PageRef) map[ivd.PackID]PackKind {
	kinds := make(map[ivd.PackID]PackKind, len(p.Packs)+1)
	for _, r := range p.Packs {
		kinds[r.Pack] = DataPack
	}
	for _, s := range p.Spans {
		if s.State == SpanNode {
			kinds[s.Place.Pack] = IndexPack
		}
	}
	kinds[home.Place.Pack] = IndexPack
	return kinds
}

// SetZero says that a span is zeros.
func (p *Page) SetZero(span ivd.SpanIndex) { *p.Entry(span) = Span{} }

// SetNode says where a span's node lies. Packs are the node's, those of its
// chunks; ref.Place names OwnPack where the page will lie in the same index pack.
func (p *Page) SetNode(ref ivd.NodeRef, packs []ivd.PackRef) {
	needs := make([]uint32, 0, len(packs)+1)
	for _, r := range packs {
		needs = append(needs, p.need(r))
	}
	needs = append(needs, p.need(ref.Place.PackRef))
	*p.Entry(ref.Span) = Span{State: SpanNode, ID: ref.ID, Place: ref.Place, Needs: needs}
}

// Take takes a span over from another page, of the parent, as it is.
func (p *Page) Take(from *Page, span ivd.SpanIndex) {
	s := *from.Entry(span)
	needs := make([]uint32, len(s.Needs))
	for i, n := range s.Needs {
		needs[i] = p.need(from.Packs[n])
	}
	s.Needs = needs
	if s.State == SpanZero {
		s = Span{}
	}
	*p.Entry(span) = s
}

// Resolve replaces OwnPack, once the page's pack has a name.
func (p *Page) Resolve(home ivd.PackRef) {
	for i := range p.Packs {
		if p.Packs[i] == OwnPack {
			p.Packs[i] = home
		}
	}
	for i := range p.Spans {
		if p.Spans[i].Place.PackRef == OwnPack {
			p.Spans[i].Place.PackRef = home
		}
	}
	p.index = nil
}

// Check compares a node with the page's entry for its span: every pack in which a
// chunk lies is one that the span needs. What a collection keeps is what pages say
// is needed, so a node that names more is an error of kind ivd.Corrupt. That a page
// needs more than its nodes name costs space, and is none.
func (p *Page) Check(n *Node) error {
	if i := n.Span - p.Index.FirstSpan(); i < 0 || int(i) >= len(p.Spans) {
		return corrupt("node of span %d and page %d", n.Span, p.Index)
	}
	needs := map[ivd.PackRef]bool{}
	for _, i := range p.Entry(n.Span).Needs {
		needs[p.Packs[i]] = true
	}
	for _, ref := range n.Packs {
		if !needs[ref] {
			return corrupt("node of span %d names pack %s of writer %s, which its page does not say it needs", n.Span, ref.Pack, ref.Writer)
		}
	}
	return nil
}

func (p *Page) need(r ivd.PackRef) uint32 {
	if p.index == nil {
		p.index = make(map[ivd.PackID]uint32, len(p.Packs)+16)
		for i, r := range p.Packs {
			p.index[r.Pack] = uint32(i)
		}
	}
	i, ok := p.index[r.Pack]
	if !ok {
		i = uint32(len(p.Packs))
		p.Packs = append(p.Packs, r)
		p.index[r.Pack] = i
	}
	return i
}

// Zero reports whether all spans are zeros, so that the page need not be written.
func (p *Page) Zero() bool {
	return !slices.ContainsFunc(p.Spans, func(s Span) bool { return s.State != SpanZero })
}

const (
	pageMagic      = "IVDP"
	pageHeaderSize = 32
	pageNodeSize   = 49 // a span's entry with a node, before the list of its packs
)

// Encode is the page's plain content; pages that say the same have equal content.
// Packs that no span needs are left out.
func (p *Page) Encode() ([]byte, error) {
	order, rank, err := p.order()
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, pageHeaderSize+len(order)*packRefSize+len(p.Spans)*(pageNodeSize+64))
	b = append(b, pageMagic...)
	b = append(b, Version, 0, 0, 0)
	b = le.AppendUint64(b, uint64(p.Index))
	b = le.AppendUint32(b, uint32(p.Geometry.ChunkSize))
	b = le.AppendUint32(b, uint32(len(p.Spans)))
	b = le.AppendUint32(b, uint32(len(order)))
	b = le.AppendUint32(b, 0)
	b = order.append(b)
	for i, s := range p.Spans {
		b = append(b, byte(s.State))
		if s.State == SpanZero {
			continue
		}
		needs := make([]uint32, len(s.Needs))
		home := -1
		for j, n := range s.Needs {
			needs[j] = rank[n]
			if p.Packs[n] == s.Place.PackRef {
				home = int(rank[n])
			}
		}
		if home < 0 {
			return nil, fmt.Errorf("encode page %d: span %d does not need its own node's pack", p.Index, i)
		}
		slices.Sort(needs)
		needs = slices.Compact(needs)
		b = append(b, s.ID[:]...)
		b = le.AppendUint32(b, uint32(home))
		b = le.AppendUint32(b, s.Place.Offset)
		b = le.AppendUint32(b, s.Place.Length)
		b = le.AppendUint32(b, uint32(len(needs)))
		for _, n := range needs {
			b = le.AppendUint32(b, n)
		}
	}
	if _, err := DecodePage(b, p.Geometry, p.Index); err != nil {
		return nil, fmt.Errorf("encode page: %w", err)
	}
	return b, nil
}

// order is the packs that are needed in the order of their ids, and the rank of
// each of p.Packs therein.
func (p *Page) order() (order PackSet, rank []uint32, err error) {
	used := make([]bool, len(p.Packs))
	for i, s := range p.Spans {
		for _, n := range s.Needs {
			if int(n) >= len(used) {
				return nil, nil, fmt.Errorf("encode page %d: span %d needs pack %d of %d", p.Index, i, n, len(used))
			}
			used[n] = true
		}
	}
	for i, u := range used {
		if u {
			order = append(order, p.Packs[i])
		}
	}
	slices.SortFunc(order, func(a, b ivd.PackRef) int { return bytes.Compare(a.Pack[:], b.Pack[:]) })
	rank = make([]uint32, len(p.Packs))
	for i, r := range p.Packs {
		at, _ := order.Find(r.Pack)
		rank[i] = uint32(at)
	}
	return order, rank, nil
}

// DecodePage reads a page of a disk that is cut as g says, and checks that it
// fits there. Its caller knows the pack that the page lies in, and resolves it.
func DecodePage(b []byte, g ivd.Geometry, index ivd.PageIndex) (*Page, error) {
	packs, err := readPageHeader(b, g, index)
	if err != nil {
		return nil, fmt.Errorf("page %d: %w", index, err)
	}
	p := NewPage(g, index)
	b = b[pageHeaderSize:]
	if p.Packs, err = readPackSet(b, packs); err != nil {
		return nil, fmt.Errorf("page %d: %w", index, err)
	}
	b = b[packs*packRefSize:]
	used := make([]bool, packs)
	for i := range p.Spans {
		if b, err = p.readSpan(b, i, used); err != nil {
			return nil, fmt.Errorf("page %d: span %d: %w", index, i, err)
		}
	}
	if len(b) != 0 {
		return nil, corrupt("page %d: %d bytes too long", index, len(b))
	}
	if i := slices.Index(used, false); i >= 0 {
		return nil, corrupt("page %d names pack %s without need", index, p.Packs[i].Pack)
	}
	return p, nil
}

func (p *Page) readSpan(b []byte, i int, used []bool) (rest []byte, err error) {
	if len(b) == 0 {
		return nil, corrupt("the page is cut off")
	}
	s := Span{State: SpanState(b[0])}
	switch s.State {
	case SpanZero:
		return b[1:], nil
	case SpanNode:
	case spanNotDone:
		return nil, unsupported("it is of a partial point, which this release does not know")
	default:
		return nil, unsupported("state %d, which this release does not know", s.State)
	}
	if len(b) < pageNodeSize {
		return nil, corrupt("the page is cut off")
	}
	s.ID = ivd.ContentID(b[1:33])
	home, count := le.Uint32(b[33:]), le.Uint32(b[45:])
	s.Place.Offset, s.Place.Length = le.Uint32(b[37:]), le.Uint32(b[41:])
	if err := checkPlace(s.Place.Offset, s.Place.Length, maxNodeSize); err != nil {
		return nil, err
	}
	b = b[pageNodeSize:]
	if most := p.Geometry.SpanChunks(p.Index.FirstSpan()+ivd.SpanIndex(i)) + 1; int64(count) > int64(most) || int64(count)*4 > int64(len(b)) {
		return nil, corrupt("it needs %d packs, and %d bytes are left", count, len(b))
	}
	s.Needs = make([]uint32, count)
	for j := range s.Needs {
		n := le.Uint32(b[j*4:])
		if int64(n) >= int64(len(used)) || j > 0 && n <= s.Needs[j-1] {
			return nil, corrupt("it needs pack %d of %d, out of range or out of order", n, len(used))
		}
		s.Needs[j] = n
		used[n] = true
	}
	if _, ok := slices.BinarySearch(s.Needs, home); !ok {
		return nil, corrupt("its node lies in pack %d, which it does not need", home)
	}
	s.Place.PackRef = p.Packs[home]
	p.Spans[i] = s
	return b[count*4:], nil
}

// readPageHeader checks the header, and that the pack table fits.
func readPageHeader(b []byte, g ivd.Geometry, index ivd.PageIndex) (packs int, err error) {
	if err := g.Validate(); err != nil {
		return 0, ivd.Errorf(ivd.Invalid, "%w", err)
	}
	if index < 0 || index >= g.Pages() {
		return 0, ivd.Errorf(ivd.Invalid, "the disk has %d pages", g.Pages())
	}
	if len(b) < pageHeaderSize || string(b[:4]) != pageMagic {
		return 0, corrupt("%d bytes that are no page", len(b))
	}
	if err := checkVersion("page", int(b[4]), Version); err != nil {
		return 0, err
	}
	n := le.Uint32(b[24:])
	if err := cmp.Or(checkReserved("its header", b[5:8]), checkReserved("its header", b[28:32])); err != nil {
		return 0, err
	}
	switch {
	case le.Uint64(b[8:]) != uint64(index):
		return 0, corrupt("it is page %d", le.Uint64(b[8:]))
	case int64(le.Uint32(b[16:])) != g.ChunkSize:
		return 0, corrupt("its chunks are of %d bytes, want %d", le.Uint32(b[16:]), g.ChunkSize)
	case int64(le.Uint32(b[20:])) != int64(g.PageSpans(index)):
		return 0, corrupt("it has %d spans, want %d", le.Uint32(b[20:]), g.PageSpans(index))
	case int64(n)*packRefSize > int64(len(b)-pageHeaderSize):
		return 0, corrupt("it names %d packs in %d bytes", n, len(b))
	}
	return int(n), nil
}
