package pipeline

import (
	"context"

	"ivdmover/shared/budget"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// unitSize is how much of a disk is fetched with one request at most, in plain
// bytes: what is stored of it is never longer, but for the frames' headers.
const unitSize = 4 << 20

func unitBytes(g ivd.Geometry) int64 { return max(unitSize, g.ChunkSize) }

// fetchedBytes is the longest range of a pack that a unit needs.
func fetchedBytes(g ivd.Geometry) int64 {
	return unitBytes(g) + unitBytes(g)/g.ChunkSize*format.FrameOverhead
}

// unitCost is what a unit under way counts: what is fetched, and what is written.
func unitCost(g ivd.Geometry) int64 { return unitBytes(g) + fetchedBytes(g) }

// scratch is the memory of one unit under way.
type scratch struct {
	fetched []byte
	buf     budget.Buffer // plain, in the order of the disk
}

func newScratch(m *budget.Memory, g ivd.Geometry) scratch {
	return scratch{fetched: make([]byte, fetchedBytes(g)), buf: m.Alloc(int(unitBytes(g)))}
}

func dropScratch(s scratch) { s.buf.Free() }

// unit is some chunks of a span whose frames lie together in one pack, or a run of
// zeros to be written.
type unit struct {
	pack   ivd.PackID // zero: zeros
	offset uint32     // of the range
	length uint32
	chunks []unitChunk
	plain  int64
}

type unitChunk struct {
	extent ivd.Extent // of the disk
	id     ivd.ContentID
	at     uint32 // of the frame, within the range
	length uint32 // of the frame
}

// units cuts a span: neighbours on the disk whose frames are neighbours in a pack
// go together. Zeros are left out where the disk reads as zeros anyway.
func (r *restore) units(s spanNode) []*unit {
	g, first := r.job.Geometry, s.span.FirstChunk()
	var list []*unit
	var u *unit
	for i := range g.SpanChunks(s.span) {
		e := g.Chunk(first + ivd.ChunkIndex(i))
		var c format.Chunk
		if s.node != nil {
			c = s.node.Chunks[i]
		}
		if c.Zero() && r.job.Restore.Blank {
			continue
		}
		if u == nil || !u.add(e, c, unitBytes(g)) {
			u = &unit{pack: c.Place.Pack, offset: c.Place.Offset}
			u.add(e, c, unitBytes(g))
			list = append(list, u)
		}
	}
	return list
}

// add adds a chunk, unless it does not follow or would be too much.
func (u *unit) add(e ivd.Extent, c format.Chunk, limit int64) bool {
	if u.pack != c.Place.Pack || u.plain+e.Length > limit {
		return false
	}
	at := u.length // a frame that follows
	if n := len(u.chunks); n > 0 && !c.Zero() && c.ID == u.chunks[n-1].id && c.Place.Offset == u.offset+u.chunks[n-1].at {
		at = u.chunks[n-1].at // the same frame once more
	} else if u.offset+u.length != c.Place.Offset {
		return false
	}
	u.chunks = append(u.chunks, unitChunk{extent: e, id: c.ID, at: at, length: c.Place.Length})
	u.length = max(u.length, at+c.Place.Length)
	u.plain += e.Length
	return true
}

// move fetches a unit, checks every chunk of it by its id, and writes it.
func (r *restore) move(ctx context.Context, u *unit, s scratch) error {
	plain := s.buf.Bytes()[:u.plain]
	if u.pack.IsZero() {
		clear(plain)
	} else if err := r.fetch(ctx, u, s.fetched[:u.length], plain); err != nil {
		return err
	}
	// Neighbours on the disk lie together in the buffer: they are written together.
	for from, off := 0, int64(0); from < len(u.chunks); {
		run := u.chunks[from].extent
		to := from + 1
		for to < len(u.chunks) && u.chunks[to].extent.Offset == run.End() {
			run.Length += u.chunks[to].extent.Length
			to++
		}
		if err := r.write(ctx, plain[off:off+run.Length], run.Offset); err != nil {
			return err
		}
		off += run.Length
		from = to
	}
	return nil
}

func (r *restore) fetch(ctx context.Context, u *unit, fetched, plain []byte) error {
	if err := r.Reader.ReadInto(ctx, fetched, u.pack, u.offset); err != nil {
		return err
	}
	r.Meter.tick()
	return r.Memory.Compute(ctx, func() error { return u.open(fetched, plain) })
}

// open checks and unpacks the unit's chunks.
func (u *unit) open(fetched, plain []byte) error {
	for _, c := range u.chunks {
		n := c.extent.Length
		got, err := format.OpenFrame(plain[:0:n], fetched[c.at:c.at+c.length], c.id)
		if err != nil {
			return &ivd.Error{Kind: ivd.KindOf(err), Op: "chunk of pack " + u.pack.String(), Err: err, Remedy: "run `ivd verify` on the point, and restore another one"}
		}
		if int64(len(got)) != n {
			return ivd.Errorf(ivd.Corrupt, "chunk %s of pack %s: %d bytes where the disk has %d", c.id, u.pack, len(got), n)
		}
		plain = plain[n:]
	}
	return nil
}

func (r *restore) write(ctx context.Context, buf []byte, off int64) error {
	return r.requests.do(ctx, buf, off, func(ctx context.Context, buf []byte, off int64) error {
		if err := r.Target.WriteAt(ctx, buf, off); err != nil {
			return err
		}
		r.Meter.tick()
		r.Meter.add(ivd.Stats{WrittenBytes: int64(len(buf))})
		return nil
	})
}
