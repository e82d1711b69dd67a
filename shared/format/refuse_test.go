package format_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

var le = binary.LittleEndian

func wantRefused(t *testing.T, err error, kind ivd.Kind, says string) {
	t.Helper()
	if ivd.KindOf(err) != kind || !strings.Contains(err.Error(), says) {
		t.Errorf("want %q of kind %q: %v", says, kind, err)
	}
}

// change is a lie in bytes that are in order otherwise.
type change struct {
	lie  func(b []byte)
	kind ivd.Kind
	says string
}

func TestNodeRefused(t *testing.T) {
	g := ivd.Geometry{Capacity: 10*ivd.DefaultChunkSize + 100, ChunkSize: ivd.DefaultChunkSize}
	n := format.NewNode(g, 0)
	for i, pack := range []byte{1, 2} {
		n.Set(i, ivd.ContentID{9}, ivd.Place{PackRef: packRef(pack), Offset: format.PackHeaderSize, Length: 1000})
	}
	n.Set(10, ivd.ContentID{9}, ivd.Place{PackRef: packRef(2), Offset: 5000, Length: format.FrameOverhead + 100})
	good, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const table, entries = 64, 64 + 2*64
	for name, c := range map[string]change{
		"another magic":         {func(b []byte) { b[0] = 'X' }, ivd.Corrupt, "no node"},
		"another span":          {func(b []byte) { b[8] = 1 }, ivd.Corrupt, "span 1"},
		"another chunk size":    {func(b []byte) { b[18] = 8 }, ivd.Corrupt, "want 262144"},
		"more chunks":           {func(b []byte) { b[20] = 12 }, ivd.Corrupt, "12 chunks"},
		"more packs":            {func(b []byte) { le.PutUint32(b[24:], 1<<31) }, ivd.Corrupt, "packs"},
		"a chunk past the end":  {func(b []byte) { b[32] &^= 1; b[33] |= 8 }, ivd.Corrupt, "chunk 11 of 11"},
		"a chunk too many":      {func(b []byte) { b[32] |= 4 }, ivd.Corrupt, "long"},
		"a pack that is none":   {func(b []byte) { clear(b[table : table+32]) }, ivd.Corrupt, "no pack"},
		"packs out of order":    {func(b []byte) { b[table] = 3 }, ivd.Corrupt, "order"},
		"one pack twice":        {func(b []byte) { b[table] = 2 }, ivd.Corrupt, "order"},
		"its own pack":          {func(b []byte) { copy(b[table+64:], bytes.Repeat([]byte{0xff}, 32)); clear(b[table+96 : table+128]) }, ivd.Corrupt, "index pack"},
		"a pack past the table": {func(b []byte) { b[entries+32] = 2 }, ivd.Corrupt, "pack 2 of 2"},
		"a pack without need":   {func(b []byte) { b[entries+32] = 1 }, ivd.Corrupt, "without need"},
		"a frame in the header": {func(b []byte) { le.PutUint32(b[entries+34:], 95) }, ivd.Corrupt, "95+1000"},
		"a frame past the end":  {func(b []byte) { le.PutUint32(b[entries+34:], format.MaxPackSize-999) }, ivd.Unsupported, "+1000"},
		"a frame of nothing":    {func(b []byte) { le.PutUint32(b[entries+38:], format.FrameOverhead) }, ivd.Corrupt, "72 bytes"},
		"a frame of too much":   {func(b []byte) { le.PutUint32(b[entries+38:], format.FrameOverhead+1+1<<18) }, ivd.Corrupt, "at most 262144"},
		"a short chunk's frame": {func(b []byte) { le.PutUint32(b[entries+2*42+38:], format.FrameOverhead+101) }, ivd.Corrupt, "at most 100"},
	} {
		b := bytes.Clone(good)
		c.lie(b)
		_, err := format.DecodeNode(b, g, 0)
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		wantRefused(t, err, c.kind, c.says)
	}
	_, err = format.DecodeNode(good, g, 1)
	wantRefused(t, err, ivd.Invalid, "1 spans")
	_, err = format.DecodeNode(good, ivd.Geometry{Capacity: 5, ChunkSize: 7}, 0)
	wantRefused(t, err, ivd.Invalid, "chunk size 7")
	n.Packs = nil
	if _, err := n.Encode(); err == nil {
		t.Error("a node without its packs is written")
	}
}

func TestPageRefused(t *testing.T) {
	g := ivd.Geometry{Capacity: 4 << 28, ChunkSize: ivd.DefaultChunkSize}
	p := format.NewPage(g, 0)
	p.SetNode(ivd.NodeRef{Span: 1, ID: ivd.ContentID{9}, Place: ivd.Place{PackRef: packRef(3), Offset: format.PackHeaderSize, Length: 1000}}, []ivd.PackRef{packRef(1), packRef(2)})
	good, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const table, span = 32, 32 + 3*64 + 1
	for name, c := range map[string]change{
		"another magic":         {func(b []byte) { b[0] = 'X' }, ivd.Corrupt, "no page"},
		"another page":          {func(b []byte) { b[8] = 1 }, ivd.Corrupt, "page 1"},
		"another chunk size":    {func(b []byte) { b[18] = 8 }, ivd.Corrupt, "want 262144"},
		"more spans":            {func(b []byte) { b[20] = 5 }, ivd.Corrupt, "5 spans"},
		"more packs":            {func(b []byte) { le.PutUint32(b[24:], 1<<31) }, ivd.Corrupt, "packs"},
		"packs out of order":    {func(b []byte) { b[table] = 9 }, ivd.Corrupt, "order"},
		"a home past the table": {func(b []byte) { b[span+33] = 3 }, ivd.Corrupt, "pack 3, which it does not need"},
		"a frame in the header": {func(b []byte) { le.PutUint32(b[span+37:], 5) }, ivd.Corrupt, "5+1000"},
		"a node too large":      {func(b []byte) { le.PutUint32(b[span+41:], 1<<20) }, ivd.Corrupt, "1048576"},
		"too many needs":        {func(b []byte) { le.PutUint32(b[span+45:], 1<<31) }, ivd.Corrupt, "needs"},
		"more than its chunks":  {func(b []byte) { le.PutUint32(b[span+45:], 258) }, ivd.Corrupt, "needs 258"},
		"a need too few":        {func(b []byte) { le.PutUint32(b[span+45:], 2) }, ivd.Corrupt, "does not need"},
		"needs out of order":    {func(b []byte) { b[span+49], b[span+53] = 1, 0 }, ivd.Corrupt, "out of order"},
		"a need twice":          {func(b []byte) { b[span+53] = 0 }, ivd.Corrupt, "out of order"},
		"a need past the table": {func(b []byte) { b[span+57] = 3 }, ivd.Corrupt, "pack 3 of 3"},
		"zeros instead":         {func(b []byte) { b[span] = 0 }, ivd.Unsupported, "state 9"},
	} {
		b := bytes.Clone(good)
		c.lie(b)
		_, err := format.DecodePage(b, g, 0)
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		wantRefused(t, err, c.kind, c.says)
	}
	_, err = format.DecodePage(append(bytes.Clone(good), 0), g, 0)
	wantRefused(t, err, ivd.Corrupt, "1 bytes too long")
	_, err = format.DecodePage(good, g, 1)
	wantRefused(t, err, ivd.Invalid, "1 pages")
	_, err = format.DecodePage(good, ivd.Geometry{Capacity: 5, ChunkSize: 7}, 0)
	wantRefused(t, err, ivd.Invalid, "chunk size 7")
	unused := bytes.Clone(good)
	unused = append(unused[:span+49], unused[span+53:]...) // pack 0 is no longer needed
	le.PutUint32(unused[span+45:], 2)
	_, err = format.DecodePage(unused, g, 0)
	wantRefused(t, err, ivd.Corrupt, "without need")
	p.Spans[1].Needs = p.Spans[1].Needs[:2]
	if _, err := p.Encode(); err == nil {
		t.Error("a page that does not need its node's pack is written")
	}
}

// A directory is sealed by its sum; what it says is still not believed.
func TestDirectoryRefused(t *testing.T) {
	p := format.NewPack(header(format.DataPack, 0), nil)
	add(p, format.ChunkFrame, content(1, 200, true), 0)
	add(p, format.ChunkFrame, content(2, 300, true), 0)
	good, _ := p.Finish()
	good = bytes.Clone(good)
	const first, second = format.PackHeaderSize, format.PackHeaderSize + 272
	const directory = second + 372
	for name, c := range map[string]change{
		"a gap":                   {func(b []byte) { b[directory+56+48+32]++ }, ivd.Corrupt, "entry 1"},
		"a first frame elsewhere": {func(b []byte) { b[directory+56+32]++ }, ivd.Corrupt, "entry 0"},
		"a frame of less":         {func(b []byte) { b[directory+56+36] = 71; b[directory+56+37] = 0 }, ivd.Corrupt, "entry 0"},
		"a frame too long":        {func(b []byte) { b[directory+56+48+36]++ }, ivd.Corrupt, "frames that end"},
		"another kind":            {func(b []byte) { b[directory+56+44] = 2 }, ivd.Corrupt, "frame 0"},
		"another compression":     {func(b []byte) { b[directory+56+45] = 1 }, ivd.Corrupt, "frame 0"},
		"another plain length":    {func(b []byte) { b[directory+56+40]++ }, ivd.Corrupt, "frame 0"},
		"another content":         {func(b []byte) { b[directory+56]++ }, ivd.Corrupt, "frame 0"},
		"another frame's number":  {func(b []byte) { b[second+8] = 0 }, ivd.Corrupt, "frame 1"},
		"a directory":             {func(b []byte) { b[directory+56+44] = 4 }, ivd.Corrupt, "entry 0"},
		"a node in a data pack":   {func(b []byte) { b[first+5] = 2; b[directory+56+44] = 2 }, ivd.Corrupt, "frame 0"},
	} {
		b := bytes.Clone(good)
		c.lie(b)
		sum := format.Sum(b[directory+56 : directory+56+96])
		copy(b[directory+24:], sum[:])
		_, _, err := format.DecodePack(b, nil)
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		wantRefused(t, err, c.kind, c.says)
	}
	if _, _, err := format.DecodePack(good, nil); err != nil {
		t.Fatal(err)
	}
}

// What the end of a pack says is compared with the pack.
func TestTrailerRefused(t *testing.T) {
	p := format.NewPack(header(format.DataPack, 0), nil)
	add(p, format.ChunkFrame, content(1, 200, true), 0)
	body, _ := p.Finish()
	size := int64(len(body))
	good := body[len(body)-format.TrailerSize:]
	const fields = 64
	for name, c := range map[string]change{
		"cut off":                {func(b []byte) { b[fields] = 0 }, ivd.Corrupt, "cut off"},
		"no end":                 {func(b []byte) { b[fields+31] = 1 }, ivd.Corrupt, "cut off"},
		"more frames":            {func(b []byte) { b[fields+8] = 2 }, ivd.Corrupt, "2 frames in 120 bytes"},
		"a directory elsewhere":  {func(b []byte) { b[fields+12]++ }, ivd.Corrupt, "directory at"},
		"a longer directory":     {func(b []byte) { b[fields+16]++ }, ivd.Corrupt, "1 frames in 121 bytes"},
		"a shorter signature":    {func(b []byte) { b[fields+20] = 63 }, ivd.Corrupt, "signature of 63 bytes"},
		"a longer signature":     {func(b []byte) { b[fields+21] = 1 }, ivd.Corrupt, "signature of 320 bytes"},
		"a header for directory": {func(b []byte) { le.PutUint32(b[fields+12:], 95) }, ivd.Corrupt, "directory at 95"},
	} {
		b := bytes.Clone(good)
		c.lie(b)
		_, err := format.ReadTrailer(b, size, format.CipherNone)
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		wantRefused(t, err, c.kind, c.says)
	}
	if _, err := format.ReadTrailer(good, size, format.CipherNone); err != nil {
		t.Fatal(err)
	}
	// More than a reader takes is no damage, where all figures agree.
	for name, frames := range map[string]uint32{"frames": format.MaxFrames + 1, "bytes": 1, "": format.MaxFrames} {
		b := bytes.Clone(good)
		length := frames*48 + format.FrameOverhead
		size := int64(format.MaxPackSize)
		if name == "bytes" {
			size++
		}
		le.PutUint32(b[fields+8:], frames)
		le.PutUint32(b[fields+12:], uint32(size)-length-format.TrailerSize)
		le.PutUint32(b[fields+16:], length)
		_, err := format.ReadTrailer(b, size, format.CipherNone)
		if name != "" {
			wantRefused(t, err, ivd.Unsupported, "takes at most")
		} else if err != nil {
			t.Errorf("the largest pack: %v", err)
		}
	}
}

// A zstd content is one frame, and nothing else.
func TestZstdRefused(t *testing.T) {
	plain := content(1, 300, false)
	good, compression := format.Compress(nil, plain, 3)
	if compression != format.CompressionZstd {
		t.Fatal("the content does not compress")
	}
	skippable := append([]byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0}, 1, 2, 3, 4)
	open := func(stored []byte) error {
		p := format.NewPack(header(format.DataPack, 0), nil)
		at, length := p.Add(format.ChunkFrame, format.Sum(plain), len(plain), format.CompressionZstd, stored)
		body, _ := p.Finish()
		_, err := new(format.Opener).Frame(nil, body[at:at+length], format.Sum(plain))
		return err
	}
	if err := open(good); err != nil {
		t.Fatal(err)
	}
	// In a frame of one segment the content size follows the descriptor, byte 4.
	if good[4]>>5&1 != 1 || good[4]>>6 != 1 {
		t.Fatalf("descriptor %#x", good[4])
	}
	body := good[7:]
	// The same blocks in frames that say more.
	window := func(log byte) []byte {
		return append([]byte{0x28, 0xb5, 0x2f, 0xfd, 1 << 6, log << 3, good[5], good[6]}, body...)
	}
	for name, c := range map[string]struct {
		stored []byte
		says   string
	}{
		"nothing":                    {nil, "zstd header"},
		"no frame":                   {[]byte("a text that is no frame"), "zstd header"},
		"a padding frame behind":     {append(bytes.Clone(good), skippable...), "a frame of"},
		"a padding frame before":     {append(bytes.Clone(skippable), good...), "skippable"},
		"a second frame":             {append(bytes.Clone(good), good...), "a frame of"},
		"a byte behind":              {append(bytes.Clone(good), 0), "a frame of"},
		"a byte missing":             {good[:len(good)-1], "a frame of"},
		"no last block":              {append(bytes.Clone(good[:7]), body[0]&^1, body[1], body[2]), "a frame of"},
		"a last block that is none":  {append(append(bytes.Clone(good[:7]), body[0]&^1), body[1:]...), "a frame of"},
		"a window above the content": {window(0), "window of 1024 bytes"},
		"a dictionary's id":          {append([]byte{0x28, 0xb5, 0x2f, 0xfd, good[4] | 1, 7, good[5], good[6]}, body...), "dictionary's id 7"},
		"a dictionary's id of zero":  {append([]byte{0x28, 0xb5, 0x2f, 0xfd, good[4] | 1, 0, good[5], good[6]}, body...), "dictionary's id 0"},
		"another content size":       {append([]byte{0x28, 0xb5, 0x2f, 0xfd, good[4], good[5] + 1, good[6]}, body...), "301 bytes"},
		"no content size":            {append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0}, body...), "content of 0 bytes"},
	} {
		err := open(c.stored)
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		wantRefused(t, err, ivd.Corrupt, c.says)
	}
}

// A node names no pack that its page does not say it needs.
func TestPageCheck(t *testing.T) {
	g := ivd.Geometry{Capacity: 4 << 28, ChunkSize: ivd.DefaultChunkSize}
	node := func(packs ...ivd.PackRef) *format.Node {
		n := format.NewNode(g, 1)
		for i, p := range packs {
			n.Set(i, ivd.ContentID{9}, ivd.Place{PackRef: p, Offset: format.PackHeaderSize, Length: 1000})
		}
		return n
	}
	p := format.NewPage(g, 0)
	p.SetNode(ivd.NodeRef{Span: 1, ID: ivd.ContentID{9}, Place: ivd.Place{PackRef: packRef(3), Offset: format.PackHeaderSize, Length: 1000}}, []ivd.PackRef{packRef(1), packRef(2)})
	p.SetNode(ivd.NodeRef{Span: 2, ID: ivd.ContentID{8}, Place: ivd.Place{PackRef: packRef(3), Offset: format.PackHeaderSize, Length: 1000}}, []ivd.PackRef{packRef(4)})
	for _, n := range []*format.Node{node(packRef(2), packRef(1)), node(packRef(1)), node()} {
		if err := p.Check(n); err != nil {
			t.Errorf("a node of packs %v: %v", n.Packs, err)
		}
	}
	other := packRef(2)
	other.Nonce[3]++
	stranger := packRef(1)
	stranger.Writer[3]++
	for name, n := range map[string]*format.Node{
		"a pack more": node(packRef(1), packRef(5)), "another span's pack": node(packRef(4)),
		"another nonce": node(other), "another writer": node(stranger),
	} {
		err := p.Check(n)
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		wantRefused(t, err, ivd.Corrupt, "does not say it needs")
	}
	n := format.NewNode(ivd.Geometry{Capacity: 1 << 40, ChunkSize: ivd.DefaultChunkSize}, 1025)
	wantRefused(t, p.Check(n), ivd.Corrupt, "span 1025")
}

func TestFrameOfOtherContent(t *testing.T) {
	frame, _ := frameOf(content(1, 500, true), 0)
	_, other := frameOf(content(2, 500, true), 0)
	_, err := new(format.Opener).Frame(nil, frame, other)
	wantRefused(t, err, ivd.Corrupt, "want "+other.String())
}
