// Package image is the one read path: a restore point as something to read. Restores,
// exports, block devices, files and verification all stand on it.
//
// An Image says which ranges of the disk hold data and which are zeros without
// reading any (Extents), reads at random (ReadAt), and reads ahead in order (Pieces).
// It promises that every byte that it hands out was checked against its name in the
// point's tree; that its memory stays within what it takes from the budget; and that
// it reads under a lease that stands, or not at all: towards its lease's end it goes
// on under another (COLLECT.md, R1 to R3), and stops when it cannot. Damage is an
// error of kind ivd.Corrupt that names the object. It writes nothing but leases, and
// not even those where it is told to read without. All methods are safe for
// concurrent use, but for one iteration of Pieces at a time.
package image

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"ivdmover/shared/budget"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// Options say which point is read, how, and with what memory.
type Options struct {
	Point  ivd.PointID
	Memory *budget.Memory
	Cache  int64 // bytes of chunks to keep for reads at random; 0: none
	Piece  int64 // bytes of a piece at the most, and of a request; 0: 1 MiB. Whole chunks in any case

	// Fill gives pieces of zeros memory too, for who writes them.
	Fill bool

	// Lease is the lease to begin under, of whoever opens the image.
	Lease ivd.LeaseID
	// OpenPoint opens the point under a lease (R1), or has done so before: several images
	// may share that. The lease is empty where the image reads without one. Nil: the
	// repository does.
	OpenPoint Opener
	// Keys has the keys of data packs where the process has no data key. Nil: the
	// repository opens them.
	Keys Keys
	// Renew opens another lease when the one before comes to its end, and the first
	// where Lease is empty. It stays its opener's. Nil: the image opens its own.
	Renew func(context.Context) (ivd.LeaseID, error)
	// Owner tells people whose the image's own leases are.
	Owner string
	// WithoutLease reads where nothing can be written, and holds only as long as
	// nobody deletes from the repository.
	WithoutLease bool
}

// Opener opens a point under a lease that stands, after it has read what is being
// deleted: repo.OpenPoint does.
type Opener func(ctx context.Context, lease ivd.LeaseID, point ivd.PointID) (repo.Lease, format.Point, error)

// Keys has keys of data packs.
type Keys interface {
	// PackKey is the key of a pack's chunks, and the id of the data key that belongs to
	// it: of one that the span needs, which is the page's. What the spans behind it need is
	// likely to be asked for next.
	PackKey(ctx context.Context, page *format.Page, span ivd.SpanIndex, ref ivd.PackRef) (ivd.KeyID, ivd.Key, error)
}

// Image is an open restore point.
type Image struct {
	repository *repo.Repository
	keys       Keys
	point      format.Point
	hold       *hold // nil: without a lease
	memory     *budget.Memory
	reserved   int64
	fill       bool
	sizes      sizes

	pages  *cache[*format.Page]
	nodes  *cache[*format.Node]
	chunks *cache[[]byte]

	raw   *budget.Lane[*scratch]      // what is fetched: given back as soon as it is opened
	plain *budget.Lane[budget.Buffer] // pieces, until they are released
	inUse atomic.Bool                 // by an iteration of Pieces

	suspecting sync.Mutex
	suspects   []Suspect // guarded by suspecting

	closed sync.Once
}

// What an open image takes beyond what it reserves, where there is more.
const (
	extraPieces = 24
	extraRaw    = 12
)

// Need returns what an image of a disk that is cut so reserves of its memory.
func (o Options) Need(g ivd.Geometry) int64 { return sizesOf(g, o).need() }

// Open opens a point for reading: under a lease that stands, with the lists of what
// is being deleted read after it (R1). It waits for its memory. Kind NotFound: there
// is no such point, or it is being deleted. Kind Expired: the lease to begin under
// does not stand.
func Open(ctx context.Context, r *repo.Repository, o Options) (*Image, error) {
	im := &Image{repository: r, keys: o.Keys, memory: o.Memory, fill: o.Fill}
	var err error
	switch {
	case !o.WithoutLease:
		im.hold, im.point, err = begin(ctx, r, o)
	case o.OpenPoint != nil:
		_, im.point, err = o.OpenPoint(ctx, "", o.Point)
	default:
		im.point, err = r.OpenPointWithoutLease(ctx, o.Point)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", o.Point, err)
	}
	z := sizesOf(im.point.Geometry, o)
	need := z.need()
	if err := o.Memory.Reserve(ctx, need); err != nil {
		im.hold.end(ctx)
		return nil, fmt.Errorf("open %s: %w", o.Point, err)
	}
	im.reserved, im.sizes = need, z
	im.pages, im.nodes, im.chunks = newCache[*format.Page](indexBytes), newCache[*format.Node](indexBytes), newCache[[]byte](o.Cache)
	getScratch, dropScratch := z.scratches()
	im.raw = budget.NewLane(o.Memory, z.rawCost(), z.ownRaw(), extraRaw, getScratch, dropScratch)
	im.plain = budget.NewLane(o.Memory, z.piece, z.ownPieces(), extraPieces,
		func() budget.Buffer { return o.Memory.Alloc(int(z.piece)) }, budget.Buffer.Free)
	return im, nil
}

// Close gives back the image's memory and its own leases. Nothing of the image is in
// use any more: no call is under way, and every piece has been released. A lease that
// cannot be ended runs out by itself. Closing twice does no harm.
func (im *Image) Close(ctx context.Context) {
	im.closed.Do(func() {
		im.raw.Close()
		im.plain.Close()
		im.memory.Release(im.reserved)
		im.hold.end(ctx)
	})
}

// Point returns the point that is read.
func (im *Image) Point() format.Point { return im.point }

// Size returns the disk's capacity in bytes.
func (im *Image) Size() int64 { return im.point.Geometry.Capacity }

// Whole returns the extent of the whole disk.
func (im *Image) Whole() ivd.Extent { return ivd.Extent{Length: im.Size()} }

// PageRef returns where a page of the point lies; false where the page is zeros.
func (im *Image) PageRef(index ivd.PageIndex) (ivd.PageRef, bool) {
	pages := im.point.Pages
	i, found := slices.BinarySearchFunc(pages, index, func(r ivd.PageRef, at ivd.PageIndex) int { return int(r.Page - at) })
	if !found {
		return ivd.PageRef{}, false
	}
	return pages[i], true
}

// page reads a page; nil: zeros.
func (im *Image) page(ctx context.Context, index ivd.PageIndex) (*format.Page, error) {
	ref, ok := im.PageRef(index)
	if !ok {
		return nil, nil
	}
	return im.pages.get(ctx, ref.ID, func(ctx context.Context) (*format.Page, int64, error) {
		if err := im.hold.stands(ctx); err != nil {
			return nil, 0, err
		}
		p, err := im.repository.Page(ctx, ref, im.point.Geometry)
		return p, pageCost(p), im.suspect(format.IndexPack, ref.Place.Pack, err)
	})
}

// node reads the node of a span; nil: zeros.
func (im *Image) node(ctx context.Context, span ivd.SpanIndex) (*format.Node, error) {
	page, err := im.page(ctx, span.Page())
	if err != nil || page == nil || page.Entry(span).State == format.SpanZero {
		return nil, err
	}
	return im.nodes.get(ctx, page.Entry(span).ID, func(ctx context.Context) (*format.Node, int64, error) {
		if err := im.hold.stands(ctx); err != nil {
			return nil, 0, err
		}
		n, err := im.repository.SpanNode(ctx, page, span)
		return n, nodeCost(n), im.suspect(format.IndexPack, page.Entry(span).Place.Pack, err)
	})
}

// What a page and a node take in memory, about.
func pageCost(p *format.Page) int64 {
	if p == nil {
		return 0
	}
	n := int64(len(p.Packs)) * 64
	for i := range p.Spans {
		n += 160 + int64(len(p.Spans[i].Needs))*4
	}
	return n
}

func nodeCost(n *format.Node) int64 {
	if n == nil {
		return 0
	}
	return int64(len(n.Chunks))*104 + int64(len(n.Packs))*64 + 128
}
