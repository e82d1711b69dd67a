package repotest

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// Layout says how a point's chunks and nodes are laid into packs.
type Layout struct {
	ChunksPerPack int                                             // 0: as many as there are
	NodesPerPack  int                                             // 0: as many as there are
	Mover         string                                          // whose packs they are; empty: a test's
	Alike         bool                                            // all data packs lie in one folder
	Order         func([]ivd.ChunkIndex) []ivd.ChunkIndex         // in which chunks are stored; nil: the disk's
	Needs         func(ivd.SpanIndex, *format.Node) []ivd.PackRef // what a page says that a span needs; nil: the truth
}

// Point is a committed restore point, and what it was made of.
type Point struct {
	format.Point
	Disk  *Disk // as it was
	Nodes map[ivd.SpanIndex]ivd.NodeRef
}

// DiskID is the disk that all points are of.
const DiskID ivd.DiskID = "5f0c1b1e-0000-4000-8000-0000000000d1"

// Source is where that disk lives.
const Source ivd.SourceID = "source"

// Save stores a disk and commits it as a point. Chunks whose content is stored
// already are named where they lie.
func (r *Repository) Save(d *Disk, l Layout) Point {
	r.t.Helper()
	lease := r.Lease(repo.WriteLease)
	w, err := r.NewWriter(lease, ivd.NewWriterID(), cmp.Or(l.Mover, "a test"))
	must(r.t, err)
	s := &saver{r: r, w: w, layout: l, disk: d, nodes: map[ivd.SpanIndex]ivd.NodeRef{}}
	s.putChunks()
	pages := s.putNodes()
	r.points++
	at := time.Date(2026, 1, 1, 0, 0, r.points, 0, time.UTC)
	p := format.Point{
		ID:     ivd.NewPointID(r.Domain(), Source, DiskID, at, "run-1"),
		Source: format.PointSource{Kind: format.VCenter, ID: Source}, Disk: format.PointDisk{Kind: ivd.IVD, ID: DiskID},
		Tracking: format.Tracking{CBT: format.CBTOff, Mode: format.ReadAllocated}, Consistency: format.CrashConsistent,
		Geometry: d.Geometry, Run: "run-1", Time: at, Pages: pages,
	}
	_, err = r.Commit(r.t.Context(), lease, p)
	must(r.t, err)
	p, _, err = r.ReadPoint(r.t.Context(), p.ID)
	must(r.t, err)
	must(r.t, r.EndLease(r.t.Context(), lease.ID))
	return Point{Point: p, Disk: d.Clone(), Nodes: s.nodes}
}

// Place is where a chunk of a disk lies that was saved.
func (r *Repository) Place(d *Disk, i ivd.ChunkIndex) ivd.Place {
	r.t.Helper()
	place, ok := r.places[r.Suite().ID(d.chunks[i])]
	if !ok {
		r.t.Fatalf("chunk %d is not stored", i)
	}
	return place
}

// saver is a Save under way.
type saver struct {
	r      *Repository
	w      *repo.Writer
	layout Layout
	disk   *Disk
	nodes  map[ivd.SpanIndex]ivd.NodeRef
}

func (s *saver) stored() []ivd.ChunkIndex {
	var list []ivd.ChunkIndex
	for i, b := range s.disk.chunks {
		if len(bytes.TrimLeft(b, "\x00")) > 0 {
			list = append(list, i)
		}
	}
	slices.Sort(list)
	return list
}

// frame adds a frame to a pack.
func (s *saver) frame(p *format.Pack, kind format.FrameKind, plain []byte) (ivd.ContentID, ivd.Place) {
	stored, compression := format.Compress(nil, plain, 1)
	id := s.r.Suite().ID(plain)
	off, n := p.Add(kind, id, len(plain), compression, stored)
	return id, ivd.Place{PackRef: format.OwnPack, Offset: off, Length: n}
}

func (s *saver) putPack(p *format.Pack) ivd.PackRef {
	s.r.t.Helper()
	ref, _, _, err := s.w.PutPack(s.r.t.Context(), p)
	must(s.r.t, err)
	return ref
}

// putChunks stores the chunks that are not stored yet.
func (s *saver) putChunks() {
	order := s.stored()
	if s.layout.Order != nil {
		order = s.layout.Order(order)
	}
	var fresh []ivd.ChunkIndex
	seen := map[ivd.ContentID]bool{}
	for _, i := range order {
		id := s.r.Suite().ID(s.disk.chunks[i])
		if _, known := s.r.places[id]; !known && !seen[id] {
			fresh, seen[id] = append(fresh, i), true
		}
	}
	for part := range slices.Chunk(fresh, atLeastOne(s.layout.ChunksPerPack, len(fresh))) {
		p, places := s.dataPack(part)
		for ref := (ivd.PackRef{Pack: ivd.PackID{1}}); s.layout.Alike && ref.Pack[0] != 0; {
			p, places = s.dataPack(part)
			_, ref = p.Finish()
		}
		ref := s.putPack(p)
		for id, at := range places {
			at.PackRef = ref
			s.r.places[id] = at
		}
	}
}

// dataPack is a new pack of chunks, and where they lie in it.
func (s *saver) dataPack(chunks []ivd.ChunkIndex) (*format.Pack, map[ivd.ContentID]ivd.Place) {
	p := s.w.NewPack(format.DataPack)
	places := map[ivd.ContentID]ivd.Place{}
	for _, i := range chunks {
		id, at := s.frame(p, format.ChunkFrame, s.disk.chunks[i])
		places[id] = at
	}
	return p, places
}

// putNodes stores the nodes of the spans that are not all zeros, and their pages,
// each page in a pack of its own.
func (s *saver) putNodes() []ivd.PageRef {
	nodes := map[ivd.SpanIndex]*format.Node{}
	for _, i := range s.stored() {
		n := nodes[i.Span()]
		if n == nil {
			n = format.NewNode(s.disk.Geometry, i.Span())
			nodes[i.Span()] = n
		}
		id := s.r.Suite().ID(s.disk.chunks[i])
		n.Set(int(i-i.Span().FirstChunk()), id, s.r.places[id])
	}
	spans := slices.Sorted(maps.Keys(nodes))
	pages := map[ivd.PageIndex]*format.Page{}
	for part := range slices.Chunk(spans, atLeastOne(s.layout.NodesPerPack, len(spans))) {
		p := s.w.NewPack(format.IndexPack)
		for _, span := range part {
			plain, err := nodes[span].Encode()
			must(s.r.t, err)
			id, at := s.frame(p, format.NodeFrame, plain)
			s.nodes[span] = ivd.NodeRef{Span: span, ID: id, Place: at}
		}
		ref := s.putPack(p)
		for _, span := range part {
			node := s.nodes[span]
			node.Place.PackRef = ref
			s.nodes[span] = node
			page := pages[span.Page()]
			if page == nil {
				page = format.NewPage(s.disk.Geometry, span.Page())
				pages[span.Page()] = page
			}
			needs := []ivd.PackRef(nodes[span].Packs)
			if s.layout.Needs != nil {
				needs = s.layout.Needs(span, nodes[span])
			}
			page.SetNode(node, needs)
		}
	}
	var refs []ivd.PageRef
	for _, index := range slices.Sorted(maps.Keys(pages)) {
		plain, err := pages[index].Encode()
		must(s.r.t, err)
		p := s.w.NewPack(format.IndexPack)
		id, at := s.frame(p, format.PageFrame, plain)
		at.PackRef = s.putPack(p)
		refs = append(refs, ivd.PageRef{Page: index, ID: id, Place: at})
	}
	return refs
}

func atLeastOne(n, otherwise int) int {
	if n == 0 {
		n = otherwise
	}
	return max(1, n)
}
