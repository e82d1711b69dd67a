package pipeline

import (
	"bytes"
	"context"

	"ivdmover/shared/budget"
	"ivdmover/shared/format"
	"ivdmover/shared/index"
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
	after    <-chan struct{} // closed when it is known of the piece before it where its chunks lie; nil: it is the first
	looked   chan struct{}   // closed when it is known of this one
	done     chan struct{}   // closed when chunks and err are set
	chunks   []chunk
	err      error
}

// chunk is what became of one that was read.
type chunk struct {
	zero        bool
	known       bool // it is stored already: place says where
	unproven    bool // there nobody has proven it
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
			list = append(list, &piece{from: c, to: next, looked: make(chan struct{}), done: make(chan struct{})})
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
// stored already, compression of what is not.
func (b *backup) process(ctx context.Context, s *span, p *piece) error {
	defer close(p.looked)
	if err := b.read(ctx, p); err != nil {
		return err
	}
	if err := b.Memory.Compute(ctx, func() error { b.nameAll(s, p); return nil }); err != nil {
		return err
	}
	if err := b.lookUp(ctx, p); err != nil {
		return err
	}
	return b.Memory.Compute(ctx, func() error { b.compressAll(p); return nil })
}

// each calls f for each chunk of a piece, with its content and the memory for its
// compressed form.
func (p *piece) each(g ivd.Geometry, f func(n int, plain, out []byte)) {
	buf, out := p.slot.Value.buf.Bytes(), p.slot.Value.out
	base := g.Chunk(p.from).Offset
	n := g.ChunkSize + slack
	for i := p.from; i < p.to; i++ {
		e := g.Chunk(i)
		f(int(i-p.from), buf[e.Offset-base:e.End()-base], out[:n:n])
		out = out[n:]
	}
}

// nameAll finds the ids of a piece's chunks, and what of them is as the parent has it.
func (b *backup) nameAll(s *span, p *piece) {
	p.chunks = make([]chunk, p.to-p.from)
	p.each(b.job.Geometry, func(n int, plain, _ []byte) {
		c := &p.chunks[n]
		c.plain = len(plain)
		if c.zero = bytes.Equal(plain, zeros[:len(plain)]); c.zero {
			return
		}
		c.id = b.Repository.Suite().ID(plain)
		c.place, c.known = b.inParent(s, p.from+ivd.ChunkIndex(n), c.id)
	})
}

// lookUp finds out which other chunks are stored already. The directories to which they
// lead are loaded for several pieces at once; what is found is decided in the disk's
// order, so that chunks which lie beside one before them in a pack are found by it.
func (b *backup) lookUp(ctx context.Context, p *piece) error {
	var ids []ivd.ContentID
	for i := range p.chunks {
		if c := &p.chunks[i]; !c.zero && !c.known {
			ids = append(ids, c.id)
		}
	}
	if len(ids) > 0 {
		b.Index.Lookup(ctx, ids, b.Trust)
		b.Meter.tick()
	}
	if p.after != nil {
		if _, _, err := next(ctx, p.after); err != nil {
			return err
		}
		p.after = nil
	}
	for i := range p.chunks {
		c := &p.chunks[i]
		if c.zero || c.known {
			continue
		}
		if at, ok := b.find(c.id); ok {
			c.known, c.unproven, c.place = true, at.Unproven, at.Place
		}
	}
	return nil
}

// find returns where a chunk lies, if that is known and may be named.
func (b *backup) find(id ivd.ContentID) (index.Found, bool) {
	at, ok := b.Index.Find(id)
	return at, ok && !b.Trust.Barred(at.Pack)
}

// compressAll compresses what is not known to be stored.
func (b *backup) compressAll(p *piece) {
	p.each(b.job.Geometry, func(n int, plain, out []byte) {
		c := &p.chunks[n]
		if c.zero || c.known || b.pending.has(c.id) { // somebody before it in the disk stores it; looked up again in order
			return
		}
		c.stored, c.compression = format.Compress(out[:0], plain, level)
	})
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
