package repo_test

import (
	"strconv"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

// disk of three spans and a bit, of which the last chunk is short.
var geometry = ivd.Geometry{Capacity: 3*ivd.ChunksPerSpan*ivd.DefaultChunkSize + 1000, ChunkSize: ivd.DefaultChunkSize}

func writerOf(t *testing.T, r *repo.Repository) *repo.Writer {
	t.Helper()
	l := lease(t, r, repo.LeaseSpec{Kind: repo.WriteLease})
	w, err := r.NewWriter(l, ivd.NewWriterID(), "proxy-1")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func newPack(w *repo.Writer, kind format.PackKind) *format.Pack {
	return w.NewPack(kind)
}

func addFrame(p *format.Pack, kind format.FrameKind, plain []byte) (ivd.ContentID, ivd.Place) {
	stored, compression := format.Compress(nil, plain, 1)
	id := format.Sum(plain)
	off, n := p.Add(kind, id, len(plain), compression, stored)
	return id, ivd.Place{Offset: off, Length: n}
}

func putPack(t *testing.T, w *repo.Writer, p *format.Pack) ivd.PackRef {
	t.Helper()
	ref, size, at, err := w.PutPack(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	body, want := p.Finish()
	if ref != want || size != len(body) || time.Since(at).Abs() > 1000*time.Hour {
		t.Fatalf("stored %+v, %d bytes, at %s", ref, size, at)
	}
	return ref
}

// tree is a point that is stored, with what lies where.
type tree struct {
	point format.Point
	data  [2]ivd.PackID // of span 0, of span 1; span 2 needs both; span 3 is zeros
	nodes [2]ivd.PackID // of spans 0 and 1, of span 2
	home  ivd.PackID    // of the page
}

// plant stores a point: chunk 5 of span 0, chunk 7 of span 1, both again in span 2.
func plant(t *testing.T, r *repo.Repository, w *repo.Writer) tree {
	t.Helper()
	var x tree
	page := format.NewPage(geometry, 0)
	var ids [2]ivd.ContentID
	var places [2]ivd.Place
	for i := range 2 {
		p := newPack(w, format.DataPack)
		ids[i], places[i] = addFrame(p, format.ChunkFrame, append([]byte{byte(i), 1, 2, 3}, make([]byte, geometry.ChunkSize-4)...))
		places[i].PackRef = putPack(t, w, p)
		x.data[i] = places[i].Pack
	}
	node := func(span ivd.SpanIndex, chunks map[int]int) *format.Node {
		n := format.NewNode(geometry, span)
		for chunk, i := range chunks {
			n.Set(chunk, ids[i], places[i])
		}
		return n
	}
	index := func(nodes ...*format.Node) ivd.PackID {
		p := newPack(w, format.IndexPack)
		refs := make([]ivd.NodeRef, len(nodes))
		for i, n := range nodes {
			plain, err := n.Encode()
			if err != nil {
				t.Fatal(err)
			}
			id, at := addFrame(p, format.NodeFrame, plain)
			refs[i] = ivd.NodeRef{Span: n.Span, ID: id, Place: at}
		}
		pack := putPack(t, w, p)
		for i, n := range nodes {
			refs[i].Place.PackRef = pack
			page.SetNode(refs[i], n.Packs)
		}
		return pack.Pack
	}
	x.nodes[0] = index(node(0, map[int]int{5: 0}), node(1, map[int]int{7: 1}))
	x.nodes[1] = index(node(2, map[int]int{1: 0, 2: 1}))
	plain, err := page.Encode()
	if err != nil {
		t.Fatal(err)
	}
	p := newPack(w, format.IndexPack)
	id, at := addFrame(p, format.PageFrame, plain)
	at.PackRef = putPack(t, w, p)
	x.home = at.Pack
	x.point = point(r, "web-1")
	x.point.Geometry = geometry
	x.point.Pages = []ivd.PageRef{{ID: id, Place: at}}
	l := lease(t, r, repo.LeaseSpec{Kind: repo.WriteLease})
	if err := commit(r, t.Context(), l, x.point); err != nil {
		t.Fatal(err)
	}
	return x
}

func TestPutPack(t *testing.T) {
	b, r := made(t)
	w := writerOf(t, r)
	b.forget()
	b.fail("put", "writers/")
	p := newPack(w, format.DataPack)
	addFrame(p, format.ChunkFrame, []byte("a chunk"))
	_, _, _, err := w.PutPack(t.Context(), p)
	wantKind(t, err, ivd.Transient, "writers/")
	b.heal()
	data := putPack(t, w, p)
	index := putPack(t, w, newPack(w, format.IndexPack))
	area := r.Domain().String() + "/"
	packName := func(p ivd.PackRef) string { return area + p.Pack.String()[:2] + "/" + p.Pack.String() }
	record := "put writers/" + area + w.ID().String()
	want := []string{record, record, "put data/" + packName(data), "put index/" + packName(index)}
	for i, got := range b.did() {
		if got != want[i] {
			t.Fatalf("W5: %q, want %q", b.did(), want)
		}
	}
	o, err := b.find(r.PackName(format.DataPack, data.Pack))
	if err != nil || format.PackSum(o.Body) != data.Pack {
		t.Fatalf("the pack's name is not its sum: %v", err)
	}
	name := "writers/" + r.Domain().String() + "/" + w.ID().String()
	if o, err = b.find(store.Name(name)); err != nil {
		t.Fatal(err)
	}
	if rec, err := format.DecodeWriter(o.Body, headAt(r, name)); err != nil || rec.ID != w.ID() || rec.Mover != "proxy-1" || rec.Program == "" || rec.Incarnation != r.Incarnation() || rec.Lease != w.Lease() {
		t.Fatalf("writer's record %+v: %v", rec, err)
	}

	for _, change := range []func(*format.PackHeader){
		func(h *format.PackHeader) { h.Writer = ivd.NewWriterID() },
		func(h *format.PackHeader) { h.Domain = ivd.NewDomainID() },
		func(h *format.PackHeader) { h.Repository = ivd.NewWriterID().String() },
	} {
		foreign := w.NewPack(format.DataPack).Header()
		change(&foreign)
		_, _, _, err = w.PutPack(t.Context(), format.NewPack(foreign, nil))
		wantKind(t, err, ivd.Invalid)
	}
	if one, two := w.NewPack(format.DataPack).Header(), w.NewPack(format.DataPack).Header(); one.Nonce == two.Nonce {
		t.Fatal("two packs with one nonce")
	}
	b.fail("put", "data/")
	_, _, _, err = w.PutPack(t.Context(), newPack(w, format.DataPack))
	wantKind(t, err, ivd.Transient, "data/")
	b.heal()
	// What could no longer be committed is not stored.
	b.pass(23*time.Hour + 31*time.Minute)
	if _, err := r.Standing(t.Context()); err != nil { // which tells no time
		t.Fatal(err)
	}
	if err := r.CheckLease(t.Context(), w.Lease(), 0); err == nil { // which does
		t.Fatal("the lease still stands")
	}
	_, _, _, err = w.PutPack(t.Context(), newPack(w, format.DataPack))
	wantKind(t, err, ivd.Expired)
}

func TestBegin(t *testing.T) {
	_, r := made(t)
	_, err := r.Begin(t.Context(), "none", repo.Writing)
	wantKind(t, err, ivd.Expired)
	l := lease(t, r, repo.LeaseSpec{})
	if got, err := r.Begin(t.Context(), l.ID, repo.Writing); err != nil || got.ID != l.ID || !got.Deadline.Equal(l.Deadline) {
		t.Fatalf("lease %+v: %v", got, err)
	}
}

func TestReadTree(t *testing.T) {
	b, r := made(t)
	x := plant(t, r, writerOf(t, r))
	page, err := r.Page(t.Context(), x.point.Pages[0], geometry)
	if err != nil {
		t.Fatal(err)
	}
	node, err := r.Node(t.Context(), page.Ref(2), geometry)
	if err != nil {
		t.Fatal(err)
	}
	if !node.Chunks[0].Zero() || node.Chunks[1].Place.Pack != x.data[0] || node.Chunks[2].Place.Pack != x.data[1] {
		t.Fatalf("node %+v", node.Chunks[:3])
	}

	// Whatever byte of a frame is damaged, reading it says so and names the object.
	for _, c := range []struct {
		at   ivd.Place
		read func() error
	}{
		{x.point.Pages[0].Place, func() error { _, err := r.Page(t.Context(), x.point.Pages[0], geometry); return err }},
		{page.Ref(2).Place, func() error { _, err := r.Node(t.Context(), page.Ref(2), geometry); return err }},
	} {
		name := r.PackName(format.IndexPack, c.at.Pack)
		o, err := b.find(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := c.at.Offset; i < c.at.Offset+c.at.Length; i++ {
			if i >= c.at.Offset+8 && i < c.at.Offset+12 {
				continue // the frame's number, which only its pack can check
			}
			o.Body[i] ^= 0xff
			if kind := ivd.KindOf(c.read()); kind != ivd.Corrupt && kind != ivd.Unsupported {
				t.Fatalf("byte %d of a frame: kind %q", i-c.at.Offset, kind)
			}
			o.Body[i] ^= 0xff
		}
		o.Body[c.at.Offset+c.at.Length-format.TagSize-1] ^= 1
		wantKind(t, c.read(), ivd.Corrupt, string(name))
		o.Body[c.at.Offset+c.at.Length-format.TagSize-1] ^= 1
		if err := c.read(); err != nil {
			t.Fatal(err)
		}
	}
	// A page is not taken for another disk's, nor a node for another span's.
	other := geometry
	other.ChunkSize *= 2
	_, err = r.Page(t.Context(), x.point.Pages[0], other)
	wantKind(t, err, ivd.Corrupt, x.home.String())
	ref := page.Ref(0)
	ref.Span = 1
	_, err = r.Node(t.Context(), ref, geometry)
	wantKind(t, err, ivd.Corrupt, x.nodes[0].String())
	for length, kind := range map[uint32]ivd.Kind{
		format.MaxPlain + format.FrameOverhead:     ivd.Corrupt, // the pack is shorter
		format.MaxPlain + format.FrameOverhead + 1: ivd.Unsupported,
		1 << 30: ivd.Unsupported,
	} {
		ref.Place.Length = length
		_, err = r.Node(t.Context(), ref, geometry)
		wantKind(t, err, kind, x.nodes[0].String())
		if kind == ivd.Unsupported {
			wantKind(t, err, kind, strconv.Itoa(int(length)))
		}
	}

	b.fail("read", "index/")
	_, err = r.Page(t.Context(), x.point.Pages[0], geometry)
	wantKind(t, err, ivd.Transient)
	b.heal()
	delete(b.objects, r.PackName(format.IndexPack, x.home))
	_, err = r.Page(t.Context(), x.point.Pages[0], geometry)
	wantKind(t, err, ivd.NotFound)
}
