package pipeline

import (
	"bytes"
	"context"

	"ivdmover/shared/budget"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// slack is what zstd may need beyond the size of what does not shrink.
const slack = 1 << 10

// zeros is what a zero chunk is compared with.
var zeros [ivd.MaxChunkSize]byte

// pieceBytes is the bytes of one piece of a disk: whole chunks, and one request
// where chunks are no larger.
func pieceBytes(g ivd.Geometry, request int64) int64 {
	request = requestBytes(request)
	return max(request-request%g.ChunkSize, g.ChunkSize)
}

// pieceCost is what a piece in flight counts: its buffer and, compressed, as much
// again.
func pieceCost(g ivd.Geometry, request int64) int64 {
	n := pieceBytes(g, request)
	return 2*n + n/g.ChunkSize*slack
}

// workspace is the memory of one piece in flight.
type workspace struct {
	buf budget.Buffer // what is read
	out []byte        // the same, compressed, each chunk at its own place
}

func newWorkspace(m *budget.Memory, g ivd.Geometry, request int64) workspace {
	n := pieceBytes(g, request)
	return workspace{buf: m.Alloc(int(n)), out: make([]byte, pieceCost(g, request)-n)}
}

func dropWorkspace(w workspace) { w.buf.Free() }

// piece is a run of neighbouring chunks of a span that are read together.
type piece struct {
	from, to ivd.ChunkIndex // [from, to) of the disk
	slot     *budget.Slot[workspace]
	done     chan struct{} // closed when chunks and err are set
	chunks   []chunk
	err      error
}

// chunk is what became of one that was read.
type chunk struct {
	zero        bool
	known       bool // it is in the parent at the same place, or stored in this run: place says where
	id          ivd.ContentID
	place       ivd.Place
	plain       int
	stored      []byte // in the workspace
	compression byte
}

// pieces yields the marked chunks of a span as pieces: neighbours together, none
// longer than pieceBytes, cut at its multiples so that requests are aligned.
func pieces(g ivd.Geometry, request int64, span ivd.SpanIndex, read *ivd.Bitmap) []*piece {
	unit := ivd.ChunkIndex(pieceBytes(g, request) / g.ChunkSize)
	first := span.FirstChunk()
	end := first + ivd.ChunkIndex(g.SpanChunks(span))
	var list []*piece
	for from, to := range read.Runs() {
		last := min(first+ivd.ChunkIndex(to), end)
		for c := first + ivd.ChunkIndex(from); c < last; {
			next := min((c/unit+1)*unit, last)
			list = append(list, &piece{from: c, to: next, done: make(chan struct{})})
			c = next
		}
	}
	return list
}

// extent is where the piece lies on the disk.
func (p *piece) extent(g ivd.Geometry) ivd.Extent {
	off, last := g.Chunk(p.from).Offset, g.Chunk(p.to-1)
	return ivd.Extent{Offset: off, Length: last.End() - off}
}

// process reads a piece and prepares its chunks: zero test, id, whether it is
// stored already, compression.
func (b *backup) process(ctx context.Context, s *span, p *piece) error {
	if err := b.read(ctx, p); err != nil {
		return err
	}
	return b.Memory.Compute(ctx, func() error { b.prepareAll(s, p); return nil })
}

func (b *backup) prepareAll(s *span, p *piece) {
	g := b.job.Geometry
	buf, out := p.slot.Value.buf.Bytes(), p.slot.Value.out
	base := g.Chunk(p.from).Offset
	p.chunks = make([]chunk, 0, p.to-p.from)
	for i := p.from; i < p.to; i++ {
		e := g.Chunk(i)
		plain := buf[e.Offset-base : e.End()-base]
		n := g.ChunkSize + slack
		p.chunks = append(p.chunks, b.prepare(s, i, plain, out[:n:n]))
		out = out[n:]
	}
}

// read reads a piece, into memory that its chunks stay in until they are packed.
func (b *backup) read(ctx context.Context, p *piece) error {
	e := p.extent(b.job.Geometry)
	return b.requests.do(ctx, p.slot.Value.buf.Bytes()[:e.Length], e.Offset, func(ctx context.Context, buf []byte, off int64) error {
		if err := b.Source.ReadAt(ctx, buf, off); err != nil {
			return err
		}
		b.Meter.tick()
		return nil
	})
}

func (b *backup) prepare(s *span, i ivd.ChunkIndex, plain, out []byte) chunk {
	if bytes.Equal(plain, zeros[:len(plain)]) {
		return chunk{zero: true, plain: len(plain)}
	}
	c := chunk{id: b.Repository.Suite().ID(plain), plain: len(plain)}
	if place, known := b.stored(s, i, c.id); known {
		c.known, c.place = true, place
		return c
	}
	if !b.pending.has(c.id) { // else somebody before it in the disk stores it; looked up again in order
		c.stored, c.compression = format.Compress(out[:0], plain, level)
	}
	return c
}
