package format_test

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

func drawID(t *rapid.T, what string) [32]byte {
	var id [32]byte
	copy(id[:], rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, what))
	id[31] = 1
	return id
}

func drawGeometry(t *rapid.T) ivd.Geometry {
	return ivd.Geometry{
		ChunkSize: ivd.MinChunkSize << rapid.IntRange(0, 7).Draw(t, "chunk size"),
		Capacity:  rapid.Int64Range(1, 1<<44).Draw(t, "capacity"),
	}
}

// drawPack draws a pack; two of the same id differ in who wrote them, which no
// node or page may hold at once.
func drawPack(t *rapid.T) ivd.PackRef {
	return ivd.PackRef{Pack: drawID(t, "pack"), Writer: ivd.WriterID{rapid.Byte().Draw(t, "writer")}, Nonce: ivd.Nonce{rapid.Byte().Draw(t, "nonce")}}
}

func packID(r ivd.PackRef) ivd.PackID { return r.Pack }

func drawNode(t *rapid.T) *format.Node {
	g := drawGeometry(t)
	n := format.NewNode(g, ivd.SpanIndex(rapid.Int64Range(0, int64(g.Spans())-1).Draw(t, "span")))
	packs := rapid.SliceOfNDistinct(rapid.Custom(drawPack), 1, 20, packID).Draw(t, "packs")
	for range rapid.IntRange(0, 40).Draw(t, "stored") {
		i := rapid.IntRange(0, len(n.Chunks)-1).Draw(t, "chunk")
		size := g.Chunk(n.Span.FirstChunk() + ivd.ChunkIndex(i)).Length
		n.Set(i, drawID(t, "id"), ivd.Place{
			PackRef: rapid.SampledFrom(packs).Draw(t, "in"),
			Offset:  uint32(rapid.IntRange(format.PackHeaderSize, 16<<20).Draw(t, "offset")),
			Length:  uint32(rapid.Int64Range(1, size).Draw(t, "length")) + format.FrameOverhead,
		})
	}
	return n
}

func TestNodeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNode(t)
		b, err := n.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := format.DecodeNode(b, n.Geometry, n.Span)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Chunks, n.Chunks) || n.Zero() != got.Zero() {
			t.Fatal("chunks differ")
		}
		for _, c := range n.Chunks {
			if !c.Zero() && !got.Packs.Has(c.Place.PackRef) {
				t.Fatalf("pack %+v is not in the table", c.Place.PackRef)
			}
		}
		if again, err := got.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("the same node has other bytes: %v", err)
		}
		if g := n.Geometry; g.Spans() > 1 {
			other := (n.Span + 1) % g.Spans()
			if _, err := format.DecodeNode(b, g, other); ivd.KindOf(err) != ivd.Corrupt {
				t.Fatalf("read as span %d: %v", other, err)
			}
		}
		if _, err := format.DecodeNode(b[:len(b)-1], n.Geometry, n.Span); ivd.KindOf(err) != ivd.Corrupt {
			t.Fatalf("cut off: %v", err)
		}
	})
}

// A zero chunk costs its bit alone, and a full span is under 11 KB.
func TestNodeSize(t *testing.T) {
	g := ivd.Geometry{Capacity: 1 << 40, ChunkSize: ivd.DefaultChunkSize}
	n := format.NewNode(g, 3)
	empty, err := n.Encode()
	if err != nil || len(empty) != 64 {
		t.Fatalf("an empty node is %d bytes: %v", len(empty), err)
	}
	for i := range n.Chunks {
		n.Set(i, ivd.ContentID{1}, ivd.Place{PackRef: packRef(2), Offset: format.PackHeaderSize, Length: 100})
	}
	full, err := n.Encode()
	if err != nil || len(full) != 64+64+256*42 {
		t.Fatalf("a full node is %d bytes: %v", len(full), err)
	}
}

func drawPage(t *rapid.T) *format.Page {
	g := drawGeometry(t)
	p := format.NewPage(g, ivd.PageIndex(rapid.Int64Range(0, int64(g.Pages())-1).Draw(t, "page")))
	packs := rapid.SliceOfNDistinct(rapid.Custom(drawPack), 1, 20, packID).Draw(t, "packs")
	for range rapid.IntRange(0, 12).Draw(t, "nodes") {
		span := p.Index.FirstSpan() + ivd.SpanIndex(rapid.IntRange(0, len(p.Spans)-1).Draw(t, "span"))
		p.SetNode(ivd.NodeRef{Span: span, ID: drawID(t, "node"), Place: ivd.Place{
			PackRef: rapid.SampledFrom(packs).Draw(t, "home"),
			Offset:  uint32(rapid.IntRange(format.PackHeaderSize, 16<<20).Draw(t, "offset")),
			Length:  uint32(rapid.IntRange(1, 20_000).Draw(t, "length")) + format.FrameOverhead,
		}}, rapid.SliceOfN(rapid.SampledFrom(packs), 0, g.SpanChunks(span)).Draw(t, "needs"))
	}
	return p
}

// needs is what a page says of a span, without the order in which it was filled.
func needs(p *format.Page, i int) map[ivd.PackRef]bool {
	m := map[ivd.PackRef]bool{}
	for _, n := range p.Spans[i].Needs {
		m[p.Packs[n]] = true
	}
	return m
}

func samePage(t *rapid.T, a, b *format.Page) {
	t.Helper()
	for i := range a.Spans {
		if a.Spans[i].State != b.Spans[i].State || a.Spans[i].ID != b.Spans[i].ID || a.Spans[i].Place != b.Spans[i].Place {
			t.Fatalf("span %d: %+v and %+v", i, a.Spans[i], b.Spans[i])
		}
		if !reflect.DeepEqual(needs(a, i), needs(b, i)) {
			t.Fatalf("span %d needs other packs", i)
		}
	}
}

func TestPageRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPage(t)
		b, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := format.DecodePage(b, p.Geometry, p.Index)
		if err != nil {
			t.Fatal(err)
		}
		samePage(t, got, p)
		if got.Zero() != p.Zero() || got.Zero() != (len(got.Packs) == 0) {
			t.Fatal("a page of zeros names packs")
		}
		for i, s := range got.Spans {
			if s.State == format.SpanNode && !needs(got, i)[s.Place.PackRef] {
				t.Fatalf("span %d does not need its node's pack", i)
			}
		}
		if _, err := format.DecodePage(b[:len(b)-1], p.Geometry, p.Index); ivd.KindOf(err) != ivd.Corrupt {
			t.Fatalf("cut off: %v", err)
		}
	})
}

// A page that takes all spans of its parent over, in any order, is its parent.
func TestPageTake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parent := drawPage(t)
		b, err := parent.Encode()
		if err != nil {
			t.Fatal(err)
		}
		stored, err := format.DecodePage(b, parent.Geometry, parent.Index)
		if err != nil {
			t.Fatal(err)
		}
		child := format.NewPage(parent.Geometry, parent.Index)
		spans := rapid.Permutation(indices(len(parent.Spans))).Draw(t, "order")
		for _, i := range spans {
			child.Take(stored, parent.Index.FirstSpan()+ivd.SpanIndex(i))
		}
		samePage(t, child, parent)
		again, err := child.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("the same page has other bytes: %v", err)
		}
		// What a span no longer needs is no longer named.
		for _, i := range spans {
			child.SetZero(parent.Index.FirstSpan() + ivd.SpanIndex(i))
		}
		if again, err = child.Encode(); err != nil || len(again) != 32+len(child.Spans) {
			t.Fatalf("a page of zeros is %d bytes: %v", len(again), err)
		}
	})
}

func indices(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

// A page may lie in one pack with its nodes, whose id is known only afterwards.
func TestPageInItsOwnPack(t *testing.T) {
	g := ivd.Geometry{Capacity: 3 << 28, ChunkSize: ivd.DefaultChunkSize}
	data := packRef(9)
	p := format.NewPage(g, 0)
	for span := range ivd.SpanIndex(2) {
		p.SetNode(ivd.NodeRef{Span: span, ID: ivd.ContentID{byte(span + 1)}, Place: ivd.Place{PackRef: format.OwnPack, Offset: 200, Length: 500}}, []ivd.PackRef{data})
	}
	b, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := format.DecodePage(b, g, 0)
	if err != nil {
		t.Fatal(err)
	}
	home := packRef(5)
	got.Resolve(home)
	if !reflect.DeepEqual(needs(got, 1), map[ivd.PackRef]bool{home: true, data: true}) || got.Ref(1).Place.PackRef != home || got.Spans[2].State != format.SpanZero {
		t.Fatalf("resolved: %+v", got)
	}
	child := format.NewPage(g, 0)
	for span := range ivd.SpanIndex(3) {
		child.Take(got, span)
	}
	child.SetNode(ivd.NodeRef{Span: 2, ID: ivd.ContentID{7}, Place: ivd.Place{PackRef: format.OwnPack, Offset: 200, Length: 500}}, nil)
	if b, err = child.Encode(); err != nil {
		t.Fatal(err)
	}
	if got, err = format.DecodePage(b, g, 0); err != nil {
		t.Fatal(err)
	}
	if got.Ref(0).Place.PackRef != home || got.Ref(2).Place.PackRef != format.OwnPack || len(got.Packs) != 3 {
		t.Fatalf("a child's page: %+v", got)
	}
}
