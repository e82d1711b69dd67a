package format

import (
	"cmp"
	"fmt"
	"math/bits"

	"ivdmover/shared/ivd"
)

// Chunk is what a node says of a chunk: its content and where that lies. The zero
// Chunk is a chunk of zeros, which is stored nowhere.
type Chunk struct {
	ID    ivd.ContentID
	Place ivd.Place
}

// Zero reports whether the chunk is zeros.
func (c Chunk) Zero() bool { return c.Place.IsZero() }

// Node is one span of a disk: its chunks, and the packs that they lie in. A span
// of zeros has no node.
type Node struct {
	Geometry ivd.Geometry
	Span     ivd.SpanIndex
	Chunks   []Chunk // Geometry.SpanChunks(Span) of them
	Packs    PackSet // at least those that the chunks name
}

// NewNode makes a span of zeros. The span must be one of the disk's.
func NewNode(g ivd.Geometry, span ivd.SpanIndex) *Node {
	return &Node{Geometry: g, Span: span, Chunks: make([]Chunk, g.SpanChunks(span))}
}

// Set says where chunk i of the span lies.
func (n *Node) Set(i int, id ivd.ContentID, place ivd.Place) {
	n.Chunks[i] = Chunk{ID: id, Place: place}
	n.Packs.Add(place.PackRef)
}

// SetZero says that chunk i of the span is zeros.
func (n *Node) SetZero(i int) { n.Chunks[i] = Chunk{} }

// Zero reports whether all chunks are zeros, so that the node need not be written.
func (n *Node) Zero() bool {
	for i := range n.Chunks {
		if !n.Chunks[i].Zero() {
			return false
		}
	}
	return true
}

const (
	nodeMagic      = "IVDN"
	nodeHeaderSize = 32
	nodeBitmapSize = ivd.ChunksPerSpan / 8
	nodeEntrySize  = 42

	maxNodeSize = nodeHeaderSize + nodeBitmapSize + ivd.ChunksPerSpan*(packRefSize+nodeEntrySize)
)

// Encode is the node's plain content; equal nodes have equal content. Packs that
// no chunk names are left out.
func (n *Node) Encode() ([]byte, error) {
	var stored ivd.Bitmap
	index := make([]int, len(n.Packs)) // in the table that is written
	for i, c := range n.Chunks {
		if c.Zero() {
			continue
		}
		p, ok := n.Packs.Find(c.Place.Pack)
		if !ok || n.Packs[p] != c.Place.PackRef {
			return nil, fmt.Errorf("encode node of span %d: chunk %d is in pack %s of writer %s, which the node does not name", n.Span, i, c.Place.Pack, c.Place.Writer)
		}
		stored.Set(i)
		index[p] = 1
	}
	var used PackSet
	for p, u := range index {
		if u == 1 {
			index[p] = len(used)
			used = append(used, n.Packs[p])
		}
	}
	b := make([]byte, 0, nodeHeaderSize+nodeBitmapSize+len(used)*packRefSize+stored.Count()*nodeEntrySize)
	b = append(b, nodeMagic...)
	b = append(b, Version, 0, 0, 0)
	b = le.AppendUint64(b, uint64(n.Span))
	b = le.AppendUint32(b, uint32(n.Geometry.ChunkSize))
	b = le.AppendUint32(b, uint32(len(n.Chunks)))
	b = le.AppendUint32(b, uint32(len(used)))
	b = le.AppendUint32(b, 0)
	b = append(b, stored[:]...)
	b = used.append(b)
	for _, c := range n.Chunks {
		if c.Zero() {
			continue
		}
		p, _ := n.Packs.Find(c.Place.Pack)
		b = append(b, c.ID[:]...)
		b = le.AppendUint16(b, uint16(index[p]))
		b = le.AppendUint32(b, c.Place.Offset)
		b = le.AppendUint32(b, c.Place.Length)
	}
	if _, err := DecodeNode(b, n.Geometry, n.Span); err != nil {
		return nil, fmt.Errorf("encode node: %w", err)
	}
	return b, nil
}

// DecodeNode reads the node of a span of a disk that is cut as g says, and checks
// that it fits there.
func DecodeNode(b []byte, g ivd.Geometry, span ivd.SpanIndex) (*Node, error) {
	packs, err := readNodeHeader(b, g, span)
	if err != nil {
		return nil, fmt.Errorf("node of span %d: %w", span, err)
	}
	n := NewNode(g, span)
	stored := ivd.Bitmap(b[nodeHeaderSize:])
	b = b[nodeHeaderSize+nodeBitmapSize:]
	if n.Packs, err = readPackSet(b, packs); err != nil {
		return nil, fmt.Errorf("node of span %d: %w", span, err)
	}
	if n.Packs.Has(OwnPack) {
		return nil, corrupt("node of span %d: chunks in an index pack", span)
	}
	b = b[packs*packRefSize:]
	used := make([]bool, packs)
	for i := range n.Chunks {
		if !stored.Has(i) {
			continue
		}
		pack := int(le.Uint16(b[32:]))
		if pack >= packs {
			return nil, corrupt("node of span %d: chunk %d is in pack %d of %d", span, i, pack, packs)
		}
		used[pack] = true
		c := Chunk{
			ID:    ivd.ContentID(b[:32]),
			Place: ivd.Place{PackRef: n.Packs[pack], Offset: le.Uint32(b[34:]), Length: le.Uint32(b[38:])},
		}
		if err := checkPlace(c.Place.Offset, c.Place.Length, g.Chunk(span.FirstChunk()+ivd.ChunkIndex(i)).Length); err != nil {
			return nil, fmt.Errorf("node of span %d: chunk %d: %w", span, i, err)
		}
		n.Chunks[i] = c
		b = b[nodeEntrySize:]
	}
	for i, u := range used {
		if !u {
			return nil, corrupt("node of span %d names pack %s without need", span, n.Packs[i].Pack)
		}
	}
	return n, nil
}

// readNodeHeader checks the header, and that the node is exactly as long as its
// figures make it.
func readNodeHeader(b []byte, g ivd.Geometry, span ivd.SpanIndex) (packs int, err error) {
	if err := g.Validate(); err != nil {
		return 0, ivd.Errorf(ivd.Invalid, "%w", err)
	}
	if span < 0 || span >= g.Spans() {
		return 0, ivd.Errorf(ivd.Invalid, "the disk has %d spans", g.Spans())
	}
	if len(b) < nodeHeaderSize+nodeBitmapSize || string(b[:4]) != nodeMagic {
		return 0, corrupt("%d bytes that are no node", len(b))
	}
	if err := checkVersion("node", int(b[4]), Version); err != nil {
		return 0, err
	}
	chunks, n := le.Uint32(b[20:]), le.Uint32(b[24:])
	if err := cmp.Or(checkReserved("its header", b[5:8]), checkReserved("its header", b[28:32])); err != nil {
		return 0, err
	}
	switch {
	case le.Uint64(b[8:]) != uint64(span):
		return 0, corrupt("it is of span %d", le.Uint64(b[8:]))
	case int64(le.Uint32(b[16:])) != g.ChunkSize:
		return 0, corrupt("its chunks are of %d bytes, want %d", le.Uint32(b[16:]), g.ChunkSize)
	case int64(chunks) != int64(g.SpanChunks(span)):
		return 0, corrupt("it has %d chunks, want %d", chunks, g.SpanChunks(span))
	case n > chunks:
		return 0, corrupt("it names %d packs for %d chunks", n, chunks)
	}
	count := 0
	for i, x := range b[nodeHeaderSize : nodeHeaderSize+nodeBitmapSize] {
		if x != 0 && i*8+bits.Len8(x) > int(chunks) {
			return 0, corrupt("it has chunk %d of %d", i*8+bits.Len8(x)-1, chunks)
		}
		count += bits.OnesCount8(x)
	}
	if want := nodeHeaderSize + nodeBitmapSize + int(n)*packRefSize + count*nodeEntrySize; len(b) != want {
		return 0, corrupt("it is %d bytes long, want %d", len(b), want)
	}
	return int(n), nil
}
