package image

import (
	"context"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/ivd"
)

// unitsAtOnce is how many requests one ReadAt has under way.
const unitsAtOnce = 8

// ReadAt reads at any place, as io.ReaderAt does. What of p is filled before an error
// is not told.
func (im *Image) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, ivd.Errorf(ivd.Invalid, "read %s at %d", im.point.ID, off)
	}
	n := int(min(int64(len(p)), max(0, im.Size()-off)))
	if n > 0 {
		if err := im.readAt(ctx, p[:n], off); err != nil {
			return 0, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// ReaderAt is the image for those who know no context: its reads end with ctx.
func (im *Image) ReaderAt(ctx context.Context) io.ReaderAt { return readerAt{im, ctx} }

type readerAt struct {
	im  *Image
	ctx context.Context
}

func (r readerAt) ReadAt(p []byte, off int64) (int, error) { return r.im.ReadAt(r.ctx, p, off) }

func (im *Image) readAt(ctx context.Context, p []byte, off int64) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(unitsAtOnce)
	for s, err := range im.cut(one(ivd.Extent{Offset: off, Length: int64(len(p))})) {
		if err == nil {
			s.node, err = im.node(ctx, s.index)
		}
		if err != nil {
			g.Go(func() error { return err })
			break
		}
		var u *unit
		flush := func() {
			if u := u; u != nil {
				g.Go(func() error { return im.fetchInto(ctx, u, p, off) })
			}
			u = nil
		}
		for c := range im.chunksOf(s) {
			to := p[c.Offset-off : c.End()-off]
			switch {
			case c.chunk.Zero():
				clear(to)
			case c.Extent != c.whole:
				flush()
				g.Go(func() error { return im.readPart(ctx, c, to) })
			case u == nil || !u.add(c.whole, c.chunk, im.sizes.piece):
				flush()
				u = newUnit(c.whole, c.chunk)
			}
		}
		flush()
	}
	return g.Wait()
}

// fetchInto fetches whole chunks to their places in p, which begins at off of the
// disk.
func (im *Image) fetchInto(ctx context.Context, u *unit, p []byte, off int64) error {
	return im.fetch(ctx, u, func(i int) []byte {
		e := u.chunks[i].extent
		return p[e.Offset-off : e.End()-off : e.End()-off]
	}, nil)
}

// readPart reads a part of a chunk, of one that is kept where it is. Where chunks are
// kept, its whole content is.
func (im *Image) readPart(ctx context.Context, c chunkOf, to []byte) error {
	from := c.Offset - c.whole.Offset
	u := newUnit(c.whole, c.chunk)
	if im.chunks.max < c.whole.Length {
		return im.fetch(ctx, u, func(int) []byte { return nil }, func(_ int, plain []byte) { copy(to, plain[from:]) })
	}
	plain, err := im.chunks.get(ctx, c.chunk.ID, func(ctx context.Context) (plain []byte, cost int64, err error) {
		err = im.fetch(ctx, u, func(int) []byte { return nil }, func(_ int, b []byte) { plain = slices.Clone(b) })
		return plain, c.whole.Length, err
	})
	copy(to, plain[min(from, int64(len(plain))):])
	return err
}
