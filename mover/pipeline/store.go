package pipeline

import (
	"context"
	"sync"
	"time"

	"ivdmover/shared/budget"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// batchState is what storeAll has gathered since the last checkpoint.
type batchState struct {
	begun time.Time
	spans []built
	own   int // of them, those with chunks of their own
	// indexes are the slots for what is kept of own spans.
	indexes []*budget.Slot[struct{}]
	packs   []*pack // of this job's, in the order of the disk
	stats   ivd.Stats
}

func (b *batchState) due(l Limits) bool {
	return b.stats.NewBytes >= l.Bytes || len(b.packs) >= l.Packs || time.Since(b.begun) >= l.Time
}

// pending knows the chunks that are in packs of the batch and not stored yet, or
// stored since its last seal.
type pending struct {
	mu      sync.Mutex
	entries map[ivd.ContentID]entry
}

func (p *pending) get(id ivd.ContentID) (entry, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.entries[id]
	return e, ok
}

func (p *pending) has(id ivd.ContentID) bool {
	_, ok := p.get(id)
	return ok
}

func (p *pending) put(e entry) {
	p.mu.Lock()
	p.entries[e.id] = e
	p.mu.Unlock()
}

func (p *pending) clear() {
	p.mu.Lock()
	clear(p.entries)
	p.mu.Unlock()
}

// store takes one span: what is not read as it was, what is read piece by piece.
func (b *backup) store(ctx context.Context, s *span) error {
	g := b.job.Geometry
	var stats ivd.Stats
	stats.DiskBytes = g.Span(s.index).Length
	at := built{span: s}
	if len(s.pieces) > 0 || s.base != nil && !s.take {
		at.entries = b.inherit(s)
		b.batch.own++
	}
	b.count(stats)
	for _, p := range s.pieces {
		if err := b.storePiece(ctx, s, p, at.entries); err != nil {
			return err
		}
	}
	b.batch.spans = append(b.batch.spans, at)
	s.pieces, s.base, s.old = nil, nil, nil // their memory is wanted
	return nil
}

// inherit makes the entries of a span before what was read is put in: the
// parent's, or zeros.
func (b *backup) inherit(s *span) []entry {
	entries := make([]entry, b.job.Geometry.SpanChunks(s.index))
	if s.base == nil {
		return entries
	}
	for i := range min(len(entries), len(s.base.Chunks)) {
		c := s.base.Chunks[i]
		if !c.Zero() && !s.read.Has(i) {
			entries[i] = b.entryAt(c.ID, c.Place)
		}
	}
	return entries
}

// entryAt is the entry of a chunk that is stored.
func (b *backup) entryAt(id ivd.ContentID, place ivd.Place) entry {
	p, ok := b.known[place.Pack]
	if !ok {
		p = &pack{ref: place.PackRef}
		b.known[place.Pack] = p
	}
	return entry{id: id, pack: p, offset: place.Offset, length: place.Length}
}

func (b *backup) storePiece(ctx context.Context, s *span, p *piece, entries []entry) error {
	if _, _, err := next(ctx, p.done); err != nil {
		return err
	}
	if p.err != nil {
		return p.err
	}
	if len(p.chunks) != int(p.to-p.from) {
		return ivd.Errorf(ivd.Permanent, "back up disk %s: %d chunks were read of %d", b.job.Disk.Ref.ID(), len(p.chunks), p.to-p.from)
	}
	first := int(p.from - s.index.FirstChunk())
	stats := ivd.Stats{ReadBytes: p.extent(b.job.Geometry).Length}
	for i := range p.chunks {
		e, err := b.place(ctx, s, p, i, &stats)
		if err != nil {
			return err
		}
		entries[first+i] = e
	}
	b.workspaces.Put(p.slot)
	p.slot, p.chunks = nil, nil
	b.count(stats)
	return nil
}

// place says where a chunk that was read lies: where it was stored before, or in
// the pack that is being filled.
func (b *backup) place(ctx context.Context, s *span, p *piece, i int, stats *ivd.Stats) (entry, error) {
	c := &p.chunks[i]
	switch {
	case c.zero:
		stats.ZeroBytes += int64(c.plain)
		return entry{}, nil
	case c.known:
		return b.dedup(c, c.place, c.unproven, stats), nil
	}
	if e, ok := b.pending.get(c.id); ok {
		stats.DedupBytes += int64(c.plain)
		return e, nil
	}
	if at, ok := b.find(c.id); ok { // by another disk meanwhile, or beside what came after it
		return b.dedup(c, at.Place, at.Unproven, stats), nil
	}
	if c.stored == nil { // it was pending when it was read, and has been forgotten since
		b.compressAgain(p, i)
	}
	if err := b.room(ctx, len(c.stored)); err != nil {
		return entry{}, err
	}
	e := entry{id: c.id, pack: b.filling}
	e.offset, e.length = b.filling.slot.Value.Add(format.ChunkFrame, c.id, c.plain, c.compression, c.stored)
	b.pending.put(e)
	stats.NewBytes += int64(c.plain)
	stats.CompressedBytes += int64(len(c.stored))
	return e, nil
}

// dedup names a chunk where it lies already.
func (b *backup) dedup(c *chunk, at ivd.Place, unproven bool, stats *ivd.Stats) entry {
	stats.DedupBytes += int64(c.plain)
	if unproven {
		stats.UnprovenBytes += int64(c.plain)
	}
	return b.entryAt(c.id, at)
}

func (b *backup) compressAgain(p *piece, i int) {
	g := b.job.Geometry
	e := g.Chunk(p.from + ivd.ChunkIndex(i))
	off := e.Offset - g.Chunk(p.from).Offset
	plain := p.slot.Value.buf.Bytes()[off : off+e.Length]
	p.chunks[i].stored, p.chunks[i].compression = format.Compress(nil, plain, level)
}

// room makes room for a frame: a pack that it does not fit into is finished, and
// another one begun when there is memory for it.
func (b *backup) room(ctx context.Context, stored int) error {
	if b.filling != nil {
		p := b.filling.slot.Value
		if p.Len()+stored+format.FrameOverhead <= b.Repository.PackSize() && p.Frames() < packFrames {
			return nil
		}
		b.finish(ctx)
	}
	slot, err := b.packs.Get(ctx)
	if err != nil {
		return err
	}
	b.Writer.Begin(slot.Value, format.DataPack)
	b.filling = &pack{slot: slot, stored: make(chan struct{})}
	return nil
}

// finish hands the pack that is being filled on to be stored.
func (b *backup) finish(ctx context.Context) {
	p := b.filling
	if p == nil {
		return
	}
	b.filling = nil
	b.batch.packs = append(b.batch.packs, p)
	b.group.Go(func() error {
		select {
		case b.uploads <- struct{}{}:
			defer func() { <-b.uploads }()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return b.put(ctx, p)
	})
}

// put stores a data pack. From then on other disks may find its chunks.
func (b *backup) put(ctx context.Context, p *pack) error {
	body := p.slot.Value
	ref, size, _, err := b.Writer.PutPack(ctx, body)
	if err != nil {
		return err
	}
	b.Meter.tick()
	p.ref = ref
	for _, e := range body.Entries() {
		b.Index.Add(e.ID, ivd.Place{PackRef: ref, Offset: e.Offset, Length: e.Length})
	}
	b.packs.Put(p.slot)
	p.slot = nil
	b.Meter.add(ivd.Stats{StoredBytes: int64(size), Packs: 1})
	p.size = size
	close(p.stored)
	return nil
}

// count adds to the batch and to what is shown.
func (b *backup) count(s ivd.Stats) {
	b.batch.stats.Add(s)
	b.Meter.add(s)
}
