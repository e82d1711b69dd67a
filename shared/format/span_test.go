package format_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// tree is how nodes and pages are cut, as figures of its own, so that two ways to
// cut can be compared. TestSpanTree holds it to the format.
type tree struct{ chunks, spans int }

// The sizes of docs/format.md's tables.
const (
	treeHeader    = 32 // of a node and of a page
	treePackRef   = 64
	treeNodeEntry = 42
	treePageEntry = 49
	treeDirectory = 48 // an index pack's entry for a node or a page
)

// estate is a disk as its pages know it: for each chunk a pack, and a version that
// makes its content's id.
type estate struct {
	pack    []uint32 // of each chunk; its place in the pack is random
	version []uint32
	packs   uint32
}

// A pack of 16 MiB holds this many chunks of 256 KiB that compress to a half.
const chunksOfPack = 128

// fill stores chunks, in the order of the disk, in packs of their own.
func (e *estate) fill(chunks []int) {
	for i, c := range chunks {
		if i%chunksOfPack == 0 {
			e.packs++
		}
		e.pack[c], e.version[c] = e.packs, e.version[c]+1
	}
	e.packs++ // for the nodes
}

// scattered draws n chunks without regard to each other.
func scattered(r *rand.Rand, of, n int) []int {
	marked := map[int]bool{}
	for len(marked) < n {
		marked[r.IntN(of)] = true
	}
	list := make([]int, 0, n)
	for c := range marked {
		list = append(list, c)
	}
	slices.Sort(list)
	return list
}

// noise is what stands for ids: bytes that do not compress, the same for the same
// seed.
func noise(b []byte, n int, seed uint64) []byte {
	for x := seed * 0x9e3779b97f4a7c15; n > 0; n -= 8 {
		x ^= x >> 30
		x *= 0xbf58476d1ce4e5b9
		x ^= x >> 27
		x *= 0x94d049bb133111eb
		x ^= x >> 31
		b = le.AppendUint64(b, x)
	}
	return b
}

// node is a span's node, its ids noise.
func (t tree) node(e *estate, span int) (plain []byte, packs []uint32) {
	first := span * t.chunks
	packs = slices.Clone(e.pack[first : first+t.chunks])
	slices.Sort(packs)
	packs = slices.Compact(packs)
	b := append(make([]byte, 0, treeHeader+t.chunks/8+len(packs)*treePackRef+t.chunks*treeNodeEntry), "IVDN\x01\x00\x00\x00"...)
	b = le.AppendUint64(b, uint64(span))
	for _, n := range []int{ivd.DefaultChunkSize, t.chunks, len(packs), 0} {
		b = le.AppendUint32(b, uint32(n))
	}
	b = append(b, bytes.Repeat([]byte{0xff}, t.chunks/8)...)
	for _, p := range packs {
		b = noise(b, treePackRef, uint64(p))
	}
	for c := first; c < first+t.chunks; c++ {
		b = noise(b, 32, uint64(c)<<32|uint64(e.version[c]))
		at, _ := slices.BinarySearch(packs, e.pack[c])
		b = le.AppendUint16(b, uint16(at))
		b = le.AppendUint32(b, uint32(format.PackHeaderSize+c%chunksOfPack*(ivd.DefaultChunkSize/2+c%977)))
		b = le.AppendUint32(b, uint32(ivd.DefaultChunkSize/2+c%977+format.FrameOverhead))
	}
	return b, packs
}

// page is a page's content. Homes are the packs that its nodes lie in.
func (t tree) page(e *estate, page int, homes []uint32) (plain []byte, needs, packs int) {
	rank := map[uint32]uint32{}
	var entries []byte
	for i := range t.spans {
		span := page*t.spans + i
		_, list := t.node(e, span)
		list = append(list, homes[span])
		entries = append(entries, 1)
		entries = noise(entries, 32, uint64(span)<<32|uint64(homes[span]))
		for _, n := range []int{len(rank), 1000 + i*5000, 5000, len(list)} {
			entries = le.AppendUint32(entries, uint32(n))
		}
		for _, p := range list {
			at, ok := rank[p]
			if !ok {
				at = uint32(len(rank))
				rank[p] = at
			}
			entries = le.AppendUint32(entries, at)
		}
		needs += len(list)
	}
	b := append([]byte("IVDP\x01\x00\x00\x00"), make([]byte, treeHeader-8)...)
	for p := range rank {
		b = noise(b, treePackRef, uint64(p))
	}
	return append(b, entries...), needs, len(rank)
}

// stored is what a node or a page costs in a bucket.
func stored(plain []byte) int {
	b, _ := format.Compress(nil, plain, 3)
	return len(b) + format.FrameOverhead + treeDirectory
}

// The figures' tree is the format's where it is cut as the format cuts.
func TestSpanTree(t *testing.T) {
	cut := tree{ivd.ChunksPerSpan, ivd.SpansPerPage}
	g := ivd.Geometry{Capacity: ivd.ChunksPerSpan * ivd.SpansPerPage * ivd.DefaultChunkSize, ChunkSize: ivd.DefaultChunkSize}
	e := &estate{pack: make([]uint32, g.Chunks()), version: make([]uint32, g.Chunks())}
	e.fill(indices(int(g.Chunks())))
	homes := make([]uint32, g.Spans())
	page := format.NewPage(g, 0)
	for span := range g.Spans() {
		plain, packs := cut.node(e, int(span))
		n := format.NewNode(g, span)
		for i := range n.Chunks {
			ref := ivd.PackRef{Pack: ivd.PackID(noise(nil, 32, uint64(e.pack[int(span)*cut.chunks+i])))}
			n.Set(i, ivd.ContentID{1}, ivd.Place{PackRef: ref, Offset: format.PackHeaderSize, Length: 100})
		}
		real, err := n.Encode()
		if err != nil || len(real) != len(plain) || len(n.Packs) != len(packs) {
			t.Fatalf("a node of %d bytes and %d packs, want %d and %d: %v", len(real), len(n.Packs), len(plain), len(packs), err)
		}
		homes[span] = 1 << 30
		page.SetNode(ivd.NodeRef{Span: span, ID: ivd.ContentID{1}, Place: ivd.Place{PackRef: format.OwnPack, Offset: format.PackHeaderSize, Length: 100}}, n.Packs)
	}
	plain, _, _ := cut.page(e, 0, homes)
	if real, err := page.Encode(); err != nil || len(real) != len(plain) {
		t.Fatalf("a page of %d bytes, want %d: %v", len(real), len(plain), err)
	}
}

// BenchmarkSpan compares spans of 1,024 chunks, 256 of them a page, with spans of
// 256, 1,024 of them a page: a disk of 1 TiB, written full and then, ten times,
// here and there in pieces of a chunk. Figures are those of the last increment,
// and of a whole restore after it. docs/decisions/span-size.md says what follows.
func BenchmarkSpan(b *testing.B) {
	const disk = 1 << 40 / ivd.DefaultChunkSize
	for _, share := range []float64{0.0001, 0.001, 0.01, 0.05} {
		for _, cut := range []tree{{1024, 256}, {256, 1024}} {
			b.Run(fmt.Sprintf("chunks=%d/changed=%g%%", cut.chunks, share*100), func(b *testing.B) {
				for b.Loop() {
					cut.measure(b, disk, int(share*disk))
				}
			})
		}
	}
}

func (t tree) measure(b *testing.B, disk, changed int) {
	r := rand.New(rand.NewPCG(1, 2))
	e := &estate{pack: make([]uint32, disk), version: make([]uint32, disk)}
	homes := make([]uint32, disk/t.chunks)
	e.fill(indices(disk))
	for i := range homes {
		homes[i] = uint32(1<<30 + i*t.chunks/(64*chunksOfPack)) // an index pack a batch of 64 packs
	}
	touched := map[int]bool{}
	for range 10 {
		list := scattered(r, disk, changed)
		e.fill(list)
		clear(touched)
		for _, c := range list {
			touched[c/t.chunks] = true
			homes[c/t.chunks] = e.packs
		}
	}
	nodes, pages, whole := 0, 0, 0
	var node, page int
	for span := range homes {
		plain, packs := t.node(e, span)
		n := stored(plain)
		whole += n
		if touched[span] {
			nodes += n
		}
		node = max(node, t.chunks*int(unsafe.Sizeof(format.Chunk{}))+len(packs)*treePackRef)
	}
	for i := range len(homes) / t.spans {
		plain, needs, packs := t.page(e, i, homes)
		n := stored(plain)
		pages += n // of scattered increments: every one
		page = max(page, t.spans*int(unsafe.Sizeof(format.Span{}))+needs*4+packs*treePackRef)
	}
	b.ReportMetric(float64(len(touched)), "nodes-read/increment")
	b.ReportMetric(float64(nodes)/1e6, "MB-nodes/increment")
	b.ReportMetric(float64(pages)/1e6, "MB-pages/increment")
	b.ReportMetric(float64(len(homes)+len(homes)/t.spans), "requests/restore")
	b.ReportMetric(float64(whole+pages)/1e6, "MB/restore")
	b.ReportMetric(float64(node)/1e3, "kB-memory/node")
	b.ReportMetric(float64(page)/1e3, "kB-memory/page")
	b.ReportMetric(0, "ns/op")
}
