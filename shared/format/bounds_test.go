package format_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// What is bounded may be as large as its bound, and no larger.

// Mutants that live, since no test can tell them apart:
//   - a length that only reserves memory: make's and append's third arguments in
//     Page.SetNode, Page.need, Page.Encode, Node.Encode and Pack.Finish;
//   - of Entry.check `e.Kind > DirectoryFrame`, since a directory was refused before;
//   - of walker.takeKey `r >= utf8.RuneSelf`: U+0080, which package json takes for no
//     other character, is hidden or is not;
//   - of checkSurrogates `len(next) < 6`: in valid JSON a quote follows the second
//     escape, so that what is 6 bytes long has none;
//   - of subtree `len(b) < sumBlock`, since what is equal was answered before.
//
// Not covered is what cannot happen while the libraries keep their word: zstd's options
// are refused (encoderOf, decoder), it gives another length than its frame's header says
// (decompress), valid JSON has a token that is none (strict).

// A chunk of no level, or that does not become smaller, is stored as it is.
func TestCompressOnlyWhatShrinks(t *testing.T) {
	text := content(1, 5000, false)
	for level, want := range map[int]byte{-1: format.CompressionNone, 0: format.CompressionNone, 1: format.CompressionZstd} {
		if stored, got := format.Compress(nil, text, level); got != want || want == format.CompressionNone && !bytes.Equal(stored, text) {
			t.Errorf("at level %d: compression %d, want %d", level, got, want)
		}
	}
	for n := range 40 {
		plain := append(content(3, 60, true), make([]byte, n)...)
		if stored, compression := format.Compress(nil, plain, 3); compression == format.CompressionZstd && len(stored) >= len(plain) {
			t.Errorf("%d bytes became %d", len(plain), len(stored))
		}
	}
}

// An object that is cut off anywhere is damage.
func TestCutOff(t *testing.T) {
	objects := readers(t)
	for name, says := range map[string]string{"frame": "", "node": "", "page": "", "pack header": "want at least 96", "trailer": "bytes of trailer"} {
		o := objects[name]
		for n := range o.good {
			wantRefused(t, o.read(o.good[:n:n]), ivd.Corrupt, says)
		}
	}
	// A page of the pack table alone, and one that ends before its last span's needs.
	g := ivd.Geometry{Capacity: 1, ChunkSize: ivd.DefaultChunkSize}
	p := format.NewPage(g, 0)
	p.SetNode(nodeRef(0), []ivd.PackRef{packRef(1)})
	page, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for n, says := range map[int]string{32 + 2*64: "span 0: the page is cut off", 32 + 2*64 + 49: "needs 2 packs, and 0 bytes are left"} {
		_, err := format.DecodePage(page[:n], g, 0)
		wantRefused(t, err, ivd.Corrupt, says)
	}
	if page, err = format.NewPage(g, 0).Encode(); err != nil {
		t.Fatal(err)
	}
	_, err = format.DecodePage(page[:32], g, 0)
	wantRefused(t, err, ivd.Corrupt, "span 0: the page is cut off")
	// A pack that is too short for its parts is not taken for one that says wrong of them.
	empty, _ := format.NewPack(header(format.DataPack, 0), nil).Finish()
	for n := format.PackHeaderSize; n < len(empty); n++ {
		_, _, err := format.DecodePack(empty[:n], nil)
		wantRefused(t, err, ivd.Corrupt, "it is cut off")
	}
	_, err = format.ReadTrailer(empty[len(empty)-format.TrailerSize:], int64(len(empty))-1, format.CipherNone)
	wantRefused(t, err, ivd.Corrupt, fmt.Sprintf("pack of %d bytes with %d bytes of trailer", len(empty)-1, format.TrailerSize))
}

// nodeRef is a span's node in pack 3.
func nodeRef(span ivd.SpanIndex) ivd.NodeRef {
	return ivd.NodeRef{Span: span, ID: ivd.ContentID{9}, Place: ivd.Place{PackRef: packRef(3), Offset: format.PackHeaderSize, Length: 1000}}
}

func TestFrameRefused(t *testing.T) {
	plain := content(1, 200, true)
	frame, id := frameOf(plain, 0)
	for _, c := range []change{
		{func(b []byte) { b[0] = 'X' }, ivd.Corrupt, "no frame begins here"},
		{func(b []byte) { b[12], b[16] = 199, 199 }, ivd.Corrupt, "frame of 272 bytes where its header says 271"},
		{func(b []byte) { b[16] = 201 }, ivd.Corrupt, "frame of 200 bytes stored as 201"},
		{func(b []byte) { b[12] = 201 }, ivd.Corrupt, "uncompressed frame of 201 bytes stored as 200"},
	} {
		b := bytes.Clone(frame)
		c.lie(b)
		_, err := new(format.Opener).Frame(nil, b, id)
		wantRefused(t, err, c.kind, c.says)
	}
}

// A zstd frame may end with an empty block, and have a window as large as its content.
func TestZstdAccepted(t *testing.T) {
	plain := content(1, 1024, false)
	good, _ := format.Compress(nil, plain, 3)
	body := bytes.Clone(good[7:])
	body[0] &^= 1 // not the last block
	for name, stored := range map[string][]byte{
		"an empty last block":       append(append(bytes.Clone(good[:7]), body...), 1, 0, 0),
		"a window like the content": append([]byte{0x28, 0xb5, 0x2f, 0xfd, 1 << 6, 0, good[5], good[6]}, good[7:]...),
	} {
		p := format.NewPack(header(format.DataPack, 0), nil)
		at, length := p.Add(format.ChunkFrame, format.Sum(plain), len(plain), format.CompressionZstd, stored)
		b, _ := p.Finish()
		if got, err := new(format.Opener).Frame(nil, b[at:at+length], format.Sum(plain)); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// place is where the only chunk of a one-chunk disk lies.
func placed(offset, length uint32) error {
	g := ivd.Geometry{Capacity: ivd.DefaultChunkSize, ChunkSize: ivd.DefaultChunkSize}
	n := format.NewNode(g, 0)
	n.Set(0, ivd.ContentID{1}, ivd.Place{PackRef: packRef(1), Offset: offset, Length: length})
	_, err := n.Encode()
	return err
}

func TestPlaceBounds(t *testing.T) {
	const most = ivd.DefaultChunkSize + format.FrameOverhead
	for _, c := range []struct {
		offset, length uint32
		kind           ivd.Kind // none: it is accepted
	}{
		{format.PackHeaderSize, format.FrameOverhead + 1, ""},
		{format.PackHeaderSize - 1, most, ivd.Corrupt},
		{format.PackHeaderSize, format.FrameOverhead, ivd.Corrupt},
		{format.PackHeaderSize, most, ""},
		{format.PackHeaderSize, most + 1, ivd.Corrupt},
		{format.MaxPackSize - most, most, ""},
		{format.MaxPackSize - most + 1, most, ivd.Unsupported},
	} {
		if err := placed(c.offset, c.length); (err == nil) != (c.kind == "") || err != nil && ivd.KindOf(err) != c.kind {
			t.Errorf("a frame at %d+%d: %v", c.offset, c.length, err)
		}
	}
	// A page's frame may hold what a reader takes; more may come.
	for length, kind := range map[uint32]ivd.Kind{format.MaxPlain + format.FrameOverhead: "", format.MaxPlain + format.FrameOverhead + 1: ivd.Unsupported} {
		g := makeGolden(t)
		g.point.Pages[0].Place.Length = length
		if _, err := g.point.Encode(); (err == nil) != (kind == "") || err != nil && ivd.KindOf(err) != kind {
			t.Errorf("a page's frame of %d bytes: %v", length, err)
		}
	}
}

// A span needs the packs of its chunks, of which it has at most as many, and its
// node's.
func TestPageBounds(t *testing.T) {
	// Page 1 has two spans, of which the last has one chunk.
	g := ivd.Geometry{Capacity: (ivd.SpansPerPage+1)*ivd.ChunksPerSpan*ivd.DefaultChunkSize + 1, ChunkSize: ivd.DefaultChunkSize}
	first := ivd.PageIndex(1).FirstSpan()
	packs := make([]ivd.PackRef, ivd.ChunksPerSpan+1)
	for i := range packs {
		packs[i] = ivd.PackRef{Pack: ivd.PackID{5, byte(i >> 8), byte(i)}}
	}
	for _, c := range []struct {
		span   ivd.SpanIndex
		packs  int // beside its node's
		length uint32
		says   string // none: it is written
	}{
		{first, ivd.ChunksPerSpan, 1000, ""},
		{first, ivd.ChunksPerSpan + 1, 1000, "it needs 258 packs"},
		{first + 1, 1, 1000, ""},
		{first + 1, 2, 1000, "it needs 3 packs"},
		{first, 1, 72 + 64 + 256*(64+42), ""}, // the largest node
		{first, 1, 72 + 64 + 256*(64+42) + 1, "a frame of"},
	} {
		p := format.NewPage(g, 1)
		ref := nodeRef(c.span)
		ref.Place.Length = c.length
		p.SetNode(ref, packs[:c.packs])
		switch _, err := p.Encode(); {
		case c.says == "" && err != nil:
			t.Errorf("span %d with %d packs and a node of %d bytes: %v", c.span, c.packs, c.length, err)
		case c.says != "":
			wantRefused(t, err, ivd.Corrupt, c.says)
		}
	}
	p := format.NewPage(g, 1)
	p.SetNode(nodeRef(first), nil)
	p.Spans[0].Needs = []uint32{uint32(len(p.Packs))}
	if _, err := p.Encode(); err == nil || !strings.Contains(err.Error(), "needs pack 1 of 1") {
		t.Errorf("a page that needs what it does not name: %v", err)
	}
	p = format.NewPage(g, 1)
	p.SetNode(nodeRef(first), packs[:2])
	p.Resolve(packRef(7))
	p.SetNode(nodeRef(first+1), packs[1:2])
	if len(p.Packs) != 3 {
		t.Errorf("a page names packs twice: %v", p.Packs)
	}
	for _, span := range []ivd.SpanIndex{0, first - 1, first + 2} {
		n := format.NewNode(ivd.Geometry{Capacity: 1 << 40, ChunkSize: ivd.DefaultChunkSize}, span)
		wantRefused(t, p.Check(n), ivd.Corrupt, "and page 1")
	}
	for _, span := range []ivd.SpanIndex{first, first + 1} {
		if err := p.Check(format.NewNode(g, span)); err != nil {
			t.Errorf("a node of zeros of span %d: %v", span, err)
		}
	}
}

// A node's chunks may lie in as many packs.
func TestNodeBounds(t *testing.T) {
	g := ivd.Geometry{Capacity: 2 * ivd.DefaultChunkSize, ChunkSize: ivd.DefaultChunkSize}
	n := format.NewNode(g, 0)
	for i := range n.Chunks {
		n.Set(i, ivd.ContentID{1}, ivd.Place{PackRef: packRef(byte(i + 1)), Offset: format.PackHeaderSize, Length: 1000})
	}
	b, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	le.PutUint32(b[24:], 3)
	_, err = format.DecodeNode(b, g, 0)
	wantRefused(t, err, ivd.Corrupt, "names 3 packs for 2 chunks")
	n.SetZero(0)
	n.SetZero(1)
	if b, err = n.Encode(); err != nil || len(b) != 64 || !n.Zero() {
		t.Errorf("a node of zeros is %d bytes: %v", len(b), err)
	}
}

// A pack takes MaxFrames frames, and its reader as many.
func TestPackBounds(t *testing.T) {
	p := format.NewPack(header(format.DataPack, 0), nil)
	id := format.Sum(nil)
	p.Grow(format.MaxFrames * format.FrameOverhead)
	for range format.MaxFrames {
		p.Add(format.ChunkFrame, id, 0, format.CompressionNone, nil)
	}
	if p.Frames() != format.MaxFrames || len(p.Entries()) != format.MaxFrames || p.Header() != header(format.DataPack, 0) {
		t.Errorf("a pack of %d frames, %d entries and header %+v", p.Frames(), len(p.Entries()), p.Header())
	}
	wantPanic(t, "a frame too many", func() { p.Add(format.ChunkFrame, id, 0, format.CompressionNone, nil) })
	body, _ := p.Finish()
	tr, err := format.ReadTrailer(body[len(body)-format.TrailerSize:], int64(len(body)), format.CipherNone)
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := new(format.Opener).Directory(body[tr.Offset:tr.Offset+tr.Length], tr); err != nil || len(entries) != format.MaxFrames {
		t.Errorf("a directory of %d frames: %v", len(entries), err)
	}
}

func wantPanic(t *testing.T, name string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s is accepted", name)
		}
	}()
	f()
}

// A record may be MaxRecord long, and may have no body.
func TestRecordBounds(t *testing.T) {
	body := make([]byte, format.MaxRecord-format.RecordHeaderSize+1)
	for n, ok := range map[int]bool{0: true, len(body) - 1: true, len(body): false} {
		b, err := format.SealRecord(format.RunMagic, body[:n])
		if ok != (err == nil) {
			t.Errorf("a body of %d bytes: %v", n, err)
		}
		if !ok {
			if want := fmt.Sprintf("want at most %d", len(body)-1); !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %s", err, want)
			}
			continue
		}
		if got, err := format.OpenRecord(format.RunMagic, b); err != nil || len(got) != n {
			t.Errorf("a body of %d bytes is read as one of %d: %v", n, len(got), err)
		}
	}
	if _, err := format.SealRecord("IVDRUN", nil); err == nil {
		t.Error("a kind of 6 letters is written")
	}
}

// What a list's reader refuses is not written.
func TestListBounds(t *testing.T) {
	g := makeGolden(t)
	g.retired.Packs = nil
	for n, ok := range map[int]bool{1<<16 - 1: true, 1 << 16: false} {
		g.retired.Reason = strings.Repeat("r", n)
		b, err := g.retired.Encode()
		if ok != (err == nil) {
			t.Errorf("a reason of %d bytes: %v", n, err)
		}
		if l, err := format.DecodePackList(format.RetiredMagic, b, at(markObject)); ok && (err != nil || l.Reason != g.retired.Reason) {
			t.Errorf("a reason of %d bytes is read as one of %d: %v", n, len(l.Reason), err)
		}
	}
	for name, lie := range map[string]func(h *format.Head){
		"no repository": func(h *format.Head) { h.Repository = "mine" },
		"a long name":   func(h *format.Head) { h.Object = strings.Repeat("n", 1<<16) },
		"a long writer": func(h *format.Head) { h.Program = strings.Repeat("n", 1<<16) },
	} {
		g := makeGolden(t)
		lie(&g.hooks.Head)
		if _, err := g.hooks.Encode(); err == nil {
			t.Errorf("a list with %s is written", name)
		}
	}
	for length, ok := range map[int64]bool{-1: false, 0: true, format.MaxPackSize: true, format.MaxPackSize + 1: false} {
		g.packs.Packs = []format.StoredPack{{ID: ivd.PackID{1}, Kind: format.DataPack, Length: length}}
		b, err := g.packs.Encode()
		if ok != (err == nil) {
			t.Errorf("a pack of %d bytes: %v", length, err)
		}
		if p, err := format.DecodeStoredPacks(b, at(packsObject)); ok && (err != nil || p.Packs[0].Length != length) {
			t.Errorf("a pack of %d bytes is read as %+v: %v", length, p.Packs, err)
		}
	}
	// Packs and hooks are counted together.
	g.hooks.Hooks = make([]format.Hook, format.MaxEntries-1)
	if _, err := g.hooks.Encode(); err == nil {
		t.Error("hooks of more than a million entries are written")
	}
}

// A list that is cut off says by how much. 2^40 seconds after 1970 is the last time.
func TestListCutOff(t *testing.T) {
	g := makeGolden(t)
	g.condemned.Points = []ivd.PointID{goldenPoint.Part(1), goldenPoint.Part(2)}
	sealed := seal(t, format.CondemnedMagic, g)
	body := sealed[format.RecordHeaderSize:]
	const seconds = 36
	early := func(n int) string { return fmt.Sprintf("ends %d bytes early", n) }
	for name, x := range map[string]struct {
		body []byte
		says string // none: it is accepted
	}{
		"no head":                 {body[:43], "of 43 bytes"},
		"a head alone":            {body[:44], early(2)},
		"half a length":           {body[:45], early(1)},
		"half a name":             {body[:44+2+len(listObject)-3], early(3)},
		"a point without its end": {body[:len(body)-1], early(1)},
		"the last time":           {slices.Replace(bytes.Clone(body), seconds, seconds+8, 0, 0, 0, 0, 0, 1, 0, 0), ""},
		"a second after it":       {slices.Replace(bytes.Clone(body), seconds, seconds+8, 1, 0, 0, 0, 0, 1, 0, 0), "after 1970"},
		"a point twice":           {append(bytes.Clone(body[:len(body)-1]), '1'), "not in order"},
	} {
		b, err := format.SealRecord(format.CondemnedMagic, x.body)
		if err != nil {
			t.Fatal(err)
		}
		switch _, err := format.DecodeCondemned(b, at(listObject)); {
		case x.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case x.says != "":
			wantRefused(t, err, ivd.Corrupt, x.says)
		}
	}
}
