package collect_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/trust"
)

// The disks of the histories have two spans, and a few chunks in each that are not zeros.
var geometry = ivd.Geometry{Capacity: ivd.ChunksPerSpan*ivd.MinChunkSize + 2*ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize}

// image is what a disk has: the chunks that are not zeros, each by one byte.
type image map[ivd.ChunkIndex]byte

var places = []ivd.ChunkIndex{0, 1, 7, ivd.ChunksPerSpan, ivd.ChunksPerSpan + 1}

func chunk(v byte) []byte {
	b := make([]byte, ivd.MinChunkSize)
	b[0], b[len(b)-1] = v, v
	return b
}

// memory is what processes remember: where contents lie, and when that was known.
type memory struct {
	mu     sync.Mutex
	places map[byte]known
}

type known struct {
	at   ivd.Place
	when time.Time
}

func (m *memory) get(v byte) (known, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.places[v]
	return k, ok
}

func (m *memory) set(v byte, k known) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.places[v] = k
}

// backup is a coordinator's run with its mover: the rules are those of the packages that
// they use.
type backup struct {
	r     *repo.Repository
	mem   *memory
	disk  ivd.DiskID
	run   ivd.RunID
	at    time.Time
	child func(parent image) image // what the disk has now
	want  func(ivd.PointID, image) // is told of what is about to be committed
	read  func(ivd.PointID) image  // what a point has
}

const source ivd.SourceID = "vc"

func (b *backup) Run(ctx context.Context) error {
	lease, err := b.r.OpenLease(ctx, repo.LeaseSpec{Owner: string(b.run), Run: b.run}) // W1
	if err != nil {
		return err
	}
	t, err := trust.Open(ctx, b.r, lease.ID, trust.Recheck) // W2
	if err != nil {
		return err
	}
	parent, err := b.parent(ctx)
	if err != nil {
		return err
	}
	w, err := b.r.NewWriter(lease, ivd.NewWriterID(), "mover")
	if err != nil {
		return err
	}
	p, now, err := b.store(ctx, t, w, parent)
	if err != nil {
		return err
	}
	b.want(p.ID, now)
	if _, err := b.r.Commit(ctx, lease, p); err != nil {
		return err // the lease is left to expire (W7)
	}
	return b.r.EndLease(ctx, lease.ID)
}

// parent is the newest point of the disk that can be read.
func (b *backup) parent(ctx context.Context) (*format.Point, error) {
	var ids []ivd.PointID
	for p, err := range b.r.Points(ctx, repo.PointsOf{Source: source, Disk: b.disk}) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, p.ID)
	}
	slices.Sort(ids)
	for _, id := range slices.Backward(ids) {
		p, _, err := b.r.ReadPoint(ctx, id)
		if ivd.KindOf(err) == ivd.NotFound {
			continue
		}
		return &p, err
	}
	return nil, nil
}

// store reads the disk: it stores what is new, and names what is not (W3, W4).
func (b *backup) store(ctx context.Context, t *trust.Trust, w *repo.Writer, parent *format.Point) (format.Point, image, error) {
	old := image{}
	var from *trust.ParentPage
	if parent != nil {
		old = b.read(parent.ID)
		var err error
		taking := trust.Taking{SealedAt: b.r.KnownAt(parent.SealedAt, parent.Incarnation), Begun: parent.ID.Time(), Parent: geometry, Child: geometry}
		if len(parent.Pages) > 0 {
			from, err = t.ParentPage(ctx, parent.Pages[0], taking)
		}
		if kind := ivd.KindOf(err); kind == ivd.NotFound || kind == ivd.Corrupt {
			from, err = nil, nil // as `--full` does
		}
		if err != nil {
			return format.Point{}, nil, err
		}
	}
	now := b.child(old)
	page, err := b.spans(ctx, t, w, from, old, now)
	if err != nil {
		return format.Point{}, nil, err
	}
	p := format.Point{
		ID:     ivd.NewPointID(b.r.Domain(), source, b.disk, b.at, b.run),
		Source: format.PointSource{Kind: format.VCenter, ID: source}, Disk: format.PointDisk{Kind: ivd.IVD, ID: b.disk},
		Tracking: format.Tracking{CBT: format.CBTOn, Mode: format.ReadChanged}, Consistency: format.CrashConsistent,
		Geometry: geometry, Run: b.run, Time: b.at,
	}
	if page != nil {
		p.Pages = []ivd.PageRef{*page}
	}
	return p, now, nil
}

// spans stores the nodes of the spans that have changed, and the page.
func (b *backup) spans(ctx context.Context, t *trust.Trust, w *repo.Writer, from *trust.ParentPage, old, now image) (*ivd.PageRef, error) {
	page := format.NewPage(geometry, 0)
	nodes := map[ivd.SpanIndex]*format.Node{}
	fresh := map[ivd.ChunkIndex]byte{}
	for span := range geometry.Spans() {
		if from != nil && from.Takeable(span) && same(old, now, span) {
			page.Take(from.Page, span)
			continue
		}
		n := format.NewNode(geometry, span)
		nodes[span] = n
		var was *format.Node
		if from != nil && from.Entry(span).State == format.SpanNode && from.Trusted(from.Entry(span).Place.Pack) {
			var err error
			if was, err = b.r.SpanNode(ctx, from.Page, span); err != nil {
				return nil, err
			}
		}
		for _, i := range places {
			v := now[i]
			if i.Span() != span || v == 0 {
				continue
			}
			at, ok, err := b.place(ctx, t, from, was, i, v, old[i] == v)
			if err != nil {
				return nil, err
			}
			if !ok {
				fresh[i] = v
				continue
			}
			n.Set(int(i-span.FirstChunk()), b.r.Suite().ID(chunk(v)), at)
		}
	}
	if err := b.putChunks(ctx, w, nodes, fresh); err != nil {
		return nil, err
	}
	return b.putNodes(ctx, w, page, nodes)
}

// place is where a content lies that need not be stored: in the parent's tree, or where
// somebody remembers it.
func (b *backup) place(ctx context.Context, t *trust.Trust, from *trust.ParentPage, was *format.Node, i ivd.ChunkIndex, v byte, unchanged bool) (ivd.Place, bool, error) {
	if was != nil && unchanged {
		if c := was.Chunks[i-i.Span().FirstChunk()]; from.Trusted(c.Place.Pack) {
			return c.Place, true, nil
		}
	}
	k, ok := b.mem.get(v)
	if !ok {
		return ivd.Place{}, false, nil
	}
	bad, err := t.Packs(ctx, map[ivd.PackID]format.PackKind{k.at.Pack: format.DataPack}, k.when)
	return k.at, len(bad) == 0, err
}

func same(a, b image, span ivd.SpanIndex) bool {
	for _, i := range places {
		if i.Span() == span && a[i] != b[i] {
			return false
		}
	}
	return true
}

// putChunks stores what is new, and remembers it.
func (b *backup) putChunks(ctx context.Context, w *repo.Writer, nodes map[ivd.SpanIndex]*format.Node, fresh map[ivd.ChunkIndex]byte) error {
	if len(fresh) == 0 {
		return nil
	}
	p := w.NewPack(format.DataPack)
	at := map[byte]ivd.Place{}
	for _, i := range places {
		v, ok := fresh[i]
		if _, stored := at[v]; !ok || stored {
			continue
		}
		at[v] = b.frame(p, format.ChunkFrame, chunk(v))
	}
	ref, _, when, err := w.PutPack(ctx, p)
	if err != nil {
		return err
	}
	for i, v := range fresh {
		place := at[v]
		place.PackRef = ref
		b.mem.set(v, known{place, when})
		nodes[i.Span()].Set(int(i-i.Span().FirstChunk()), b.r.Suite().ID(chunk(v)), place)
	}
	return nil
}

func (b *backup) frame(p *format.Pack, kind format.FrameKind, plain []byte) ivd.Place {
	stored, compression := format.Compress(nil, plain, 1)
	off, n := p.Add(kind, b.r.Suite().ID(plain), len(plain), compression, stored)
	return ivd.Place{PackRef: format.OwnPack, Offset: off, Length: n}
}

// putNodes stores the nodes and, with them, the page.
func (b *backup) putNodes(ctx context.Context, w *repo.Writer, page *format.Page, nodes map[ivd.SpanIndex]*format.Node) (*ivd.PageRef, error) {
	p := w.NewPack(format.IndexPack)
	for span := range geometry.Spans() {
		n := nodes[span]
		if n == nil || len(n.Packs) == 0 {
			continue
		}
		plain, err := n.Encode()
		if err != nil {
			return nil, err
		}
		page.SetNode(ivd.NodeRef{Span: span, ID: b.r.Suite().ID(plain), Place: b.frame(p, format.NodeFrame, plain)}, n.Packs)
	}
	if page.Zero() {
		return nil, nil
	}
	plain, err := page.Encode()
	if err != nil {
		return nil, err
	}
	ref := ivd.PageRef{Page: 0, ID: b.r.Suite().ID(plain), Place: b.frame(p, format.PageFrame, plain)}
	home, _, _, err := w.PutPack(ctx, p)
	ref.Place.PackRef = home
	return &ref, err
}

// restore reads all of a point, and compares it with what it must have.
func restore(ctx context.Context, r *repo.Repository, p format.Point, want image) error {
	got := image{}
	for _, ref := range p.Pages {
		page, err := r.Page(ctx, ref, p.Geometry)
		if err != nil {
			return err
		}
		for span := range p.Geometry.Spans() {
			if page.Entry(span).State != format.SpanNode {
				continue
			}
			n, err := r.SpanNode(ctx, page, span)
			if err != nil {
				return err
			}
			for _, i := range places {
				if i.Span() != span || n.Chunks[i-span.FirstChunk()].Place.IsZero() {
					continue
				}
				if err := readChunk(ctx, r, n.Chunks[i-span.FirstChunk()], want[i]); err != nil {
					return fmt.Errorf("chunk %d: %w", i, err)
				}
				got[i] = want[i]
			}
		}
	}
	for i, v := range want {
		if got[i] != v {
			return ivd.Errorf(ivd.Corrupt, "chunk %d is missing", i)
		}
	}
	return nil
}

func readChunk(ctx context.Context, r *repo.Repository, c format.Chunk, want byte) error {
	b := make([]byte, c.Place.Length)
	if err := r.ReadData(ctx, b, c.Place.Pack, c.Place.Offset); err != nil {
		return err
	}
	o, err := r.Opener(ctx, format.DataPack, c.Place.PackRef)
	if err != nil {
		return err
	}
	plain, err := o.Frame(nil, b, c.ID)
	if err == nil && !bytes.Equal(plain, chunk(want)) {
		err = ivd.Errorf(ivd.Corrupt, "other content")
	}
	return err
}
