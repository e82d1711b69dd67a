package image

import (
	"context"
	"fmt"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// unit is some chunks whose frames lie together in one pack: they are fetched with one
// request. Between its chunks may be chunks of zeros.
type unit struct {
	pack   ivd.PackRef
	offset uint32 // of the range
	length uint32
	chunks []frame
	plain  int64 // of all chunks
}

// frame is one chunk of a unit.
type frame struct {
	extent ivd.Extent // of the disk
	id     ivd.ContentID
	at     uint32 // of the frame, within the range
	length uint32 // of the frame
}

// newUnit begins a unit with a chunk.
func newUnit(e ivd.Extent, c format.Chunk) *unit {
	u := &unit{pack: c.Place.PackRef, offset: c.Place.Offset}
	u.take(e, c, 0)
	return u
}

// add adds a chunk, unless its frame does not follow or it would be too much.
func (u *unit) add(e ivd.Extent, c format.Chunk, limit int64) bool {
	if u.pack != c.Place.PackRef || u.plain+e.Length > limit {
		return false
	}
	last := u.chunks[len(u.chunks)-1]
	switch {
	case c.ID == last.id && c.Place.Offset == u.offset+last.at:
		u.take(e, c, last.at) // the same frame once more
	case c.Place.Offset == u.offset+u.length:
		u.take(e, c, u.length)
	default:
		return false
	}
	return true
}

func (u *unit) take(e ivd.Extent, c format.Chunk, at uint32) {
	u.chunks = append(u.chunks, frame{extent: e, id: c.ID, at: at, length: c.Place.Length})
	u.length = max(u.length, at+c.Place.Length)
	u.plain += e.Length
}

// fetch reads the unit's range, and puts the content of each chunk where dst says: memory
// of exactly the chunk's length, or nil for one that keep gets instead.
func (im *Image) fetch(ctx context.Context, u *unit, dst func(i int) []byte, keep func(i int, plain []byte)) error {
	slot, err := im.raw.Get(ctx)
	if err != nil {
		return err
	}
	defer im.raw.Put(slot)
	if err := im.hold.stands(ctx); err != nil {
		return err
	}
	raw := slot.Value.raw[:u.length]
	if err := im.repository.ReadData(ctx, raw, u.pack.Pack, u.offset); err != nil {
		return im.suspect(format.DataPack, u.pack.Pack, err)
	}
	opener, err := im.opener(ctx, u)
	if err != nil {
		return err
	}
	return im.memory.Compute(ctx, func() error {
		for i, c := range u.chunks {
			to := dst(i)
			partial := to == nil
			if partial {
				to = slot.Value.plain[:c.extent.Length]
			}
			if err := im.open(opener, u, c, raw, to); err != nil {
				return err
			}
			if partial {
				keep(i, to)
			}
		}
		return nil
	})
}

// opener is what opens the unit's chunks.
func (im *Image) opener(ctx context.Context, u *unit) (*format.Opener, error) {
	if im.keys == nil {
		return im.repository.Opener(ctx, format.DataPack, u.pack)
	}
	g := im.point.Geometry
	span := ivd.ChunkIndex(u.chunks[0].extent.Offset / g.ChunkSize).Span()
	page, err := im.page(ctx, span.Page())
	if err != nil {
		return nil, err
	}
	data, key, err := im.keys.PackKey(ctx, page, span, u.pack)
	if err != nil {
		return nil, fmt.Errorf("the key of %s: %w", im.repository.PackName(format.DataPack, u.pack.Pack), err)
	}
	return im.repository.OpenerWith(u.pack, data, key)
}

// open checks a chunk and unpacks it into memory of its length.
func (im *Image) open(opener *format.Opener, u *unit, c frame, raw, to []byte) error {
	n := len(to)
	got, err := opener.Frame(to[:0:n], raw[c.at:c.at+c.length], c.id)
	if err == nil && len(got) != n {
		err = ivd.Errorf(ivd.Corrupt, "chunk %s has %d bytes where the disk has %d", c.id, len(got), n)
	}
	if err != nil {
		return im.suspect(format.DataPack, u.pack.Pack, &ivd.Error{
			Kind: ivd.KindOf(err), Err: err,
			Op: fmt.Sprintf("open the chunk at %d of the disk, in %s at %d", c.extent.Offset, im.repository.PackName(format.DataPack, u.pack.Pack), u.offset+c.at),
		})
	}
	return nil
}
