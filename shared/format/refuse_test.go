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
		n.Set(i, ivd.ContentID{9}, ivd.Place{Pack: ivd.PackID{pack}, Offset: format.PackHeaderSize, Length: 1000}, writer)
	}
	n.Set(10, ivd.ContentID{9}, ivd.Place{Pack: ivd.PackID{2}, Offset: 5000, Length: format.FrameOverhead + 100}, writer)
	good, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const table, entries = 160, 160 + 2*48
	for name, c := range map[string]change{
		"another magic":         {func(b []byte) { b[0] = 'X' }, ivd.Corrupt, "no node"},
		"a newer version":       {func(b []byte) { b[4] = 2 }, ivd.Unsupported, "version 2"},
		"reserved bytes":        {func(b []byte) { b[6] = 1 }, ivd.Corrupt, "reserved"},
		"reserved bytes' end":   {func(b []byte) { b[31] = 1 }, ivd.Corrupt, "reserved"},
		"another span":          {func(b []byte) { b[8] = 1 }, ivd.Corrupt, "span 1"},
		"another chunk size":    {func(b []byte) { b[18] = 8 }, ivd.Corrupt, "want 262144"},
		"more chunks":           {func(b []byte) { b[20] = 12 }, ivd.Corrupt, "12 chunks"},
		"more packs":            {func(b []byte) { le.PutUint32(b[24:], 1<<31) }, ivd.Corrupt, "packs"},
		"a chunk past the end":  {func(b []byte) { b[32] &^= 1; b[33] |= 8 }, ivd.Corrupt, "chunk 11 of 11"},
		"a chunk too many":      {func(b []byte) { b[32] |= 4 }, ivd.Corrupt, "long"},
		"a pack that is none":   {func(b []byte) { clear(b[table : table+32]) }, ivd.Corrupt, "no pack"},
		"packs out of order":    {func(b []byte) { b[table] = 3 }, ivd.Corrupt, "order"},
		"one pack twice":        {func(b []byte) { b[table] = 2 }, ivd.Corrupt, "order"},
		"its own pack":          {func(b []byte) { copy(b[table+48:], format.OwnPack[:]) }, ivd.Corrupt, "index pack"},
		"a pack past the table": {func(b []byte) { b[entries+32] = 2 }, ivd.Corrupt, "pack 2 of 2"},
		"a pack without need":   {func(b []byte) { b[entries+32] = 1 }, ivd.Corrupt, "without need"},
		"a frame in the header": {func(b []byte) { le.PutUint32(b[entries+34:], 111) }, ivd.Corrupt, "111+1000"},
		"a frame past the end":  {func(b []byte) { le.PutUint32(b[entries+34:], format.MaxPackSize-999) }, ivd.Corrupt, "+1000"},
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
	ref := func(pack byte) format.PackRef { return format.PackRef{ID: ivd.PackID{pack}, Writer: writer} }
	p := format.NewPage(g, 0)
	p.SetNode(ivd.NodeRef{Span: 1, ID: ivd.ContentID{9}, Place: ivd.Place{Pack: ivd.PackID{3}, Offset: format.PackHeaderSize, Length: 1000}}, []format.PackRef{ref(1), ref(2)}, writer)
	good, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const table, span = 32, 32 + 3*48 + 1
	for name, c := range map[string]change{
		"another magic":         {func(b []byte) { b[0] = 'X' }, ivd.Corrupt, "no page"},
		"a newer version":       {func(b []byte) { b[4] = 2 }, ivd.Unsupported, "version 2"},
		"reserved bytes":        {func(b []byte) { b[7] = 1 }, ivd.Corrupt, "reserved"},
		"another page":          {func(b []byte) { b[8] = 1 }, ivd.Corrupt, "page 1"},
		"another chunk size":    {func(b []byte) { b[18] = 8 }, ivd.Corrupt, "want 262144"},
		"more spans":            {func(b []byte) { b[20] = 5 }, ivd.Corrupt, "5 spans"},
		"more packs":            {func(b []byte) { le.PutUint32(b[24:], 1<<31) }, ivd.Corrupt, "packs"},
		"packs out of order":    {func(b []byte) { b[table] = 9 }, ivd.Corrupt, "order"},
		"a span not done":       {func(b []byte) { b[span] = 2 }, ivd.Unsupported, "partial point"},
		"a span of no state":    {func(b []byte) { b[span] = 3 }, ivd.Corrupt, "state 3"},
		"a home past the table": {func(b []byte) { b[span+33] = 3 }, ivd.Corrupt, "pack 3, which it does not need"},
		"a frame in the header": {func(b []byte) { le.PutUint32(b[span+37:], 5) }, ivd.Corrupt, "5+1000"},
		"a node too large":      {func(b []byte) { le.PutUint32(b[span+41:], 1<<20) }, ivd.Corrupt, "1048576"},
		"too many needs":        {func(b []byte) { le.PutUint32(b[span+45:], 1<<31) }, ivd.Corrupt, "needs"},
		"a need too few":        {func(b []byte) { le.PutUint32(b[span+45:], 2) }, ivd.Corrupt, "does not need"},
		"needs out of order":    {func(b []byte) { b[span+49], b[span+53] = 1, 0 }, ivd.Corrupt, "out of order"},
		"a need twice":          {func(b []byte) { b[span+53] = 0 }, ivd.Corrupt, "out of order"},
		"a need past the table": {func(b []byte) { b[span+57] = 3 }, ivd.Corrupt, "pack 3 of 3"},
		"zeros instead":         {func(b []byte) { b[span] = 0 }, ivd.Corrupt, "state"},
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
	p := format.NewPack(format.DataPack, repository, writer, [32]byte{})
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
		"reserved bytes":          {func(b []byte) { b[directory+56+47] = 1 }, ivd.Corrupt, "entry 0"},
		"another kind":            {func(b []byte) { b[directory+56+44] = 2 }, ivd.Corrupt, "frame 0"},
		"another compression":     {func(b []byte) { b[directory+56+45] = 1 }, ivd.Corrupt, "frame 0"},
		"another plain length":    {func(b []byte) { b[directory+56+40]++ }, ivd.Corrupt, "frame 0"},
		"another content":         {func(b []byte) { b[directory+56]++ }, ivd.Corrupt, "frame 0"},
		"another frame's number":  {func(b []byte) { b[second+8] = 0 }, ivd.Corrupt, "frame 1"},
		"a node in a data pack":   {func(b []byte) { b[first+5] = 2; b[directory+56+44] = 2 }, ivd.Corrupt, "frame 0"},
	} {
		b := bytes.Clone(good)
		c.lie(b)
		sum := format.Sum(b[directory+56 : directory+56+96])
		copy(b[directory+24:], sum[:])
		_, _, err := format.DecodePack(b)
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		wantRefused(t, err, c.kind, c.says)
	}
	if _, _, err := format.DecodePack(good); err != nil {
		t.Fatal(err)
	}
}

func TestFrameOfOtherContent(t *testing.T) {
	frame, _ := frameOf(content(1, 500, true), 0)
	_, other := frameOf(content(2, 500, true), 0)
	_, err := format.OpenFrame(nil, frame, other)
	wantRefused(t, err, ivd.Corrupt, "want "+other.String())
}

func TestPointRefused(t *testing.T) {
	for name, lie := range map[string]func(*format.Point){
		"no name":             func(p *format.Point) { p.ID = "" },
		"another disk":        func(p *format.Point) { p.Disk = ivd.NewDiskRef(p.Disk.Source(), p.Disk.Datastore(), "7000c298-1111-4222-8333-444455556666") },
		"no chunk size":       func(p *format.Point) { p.Geometry.ChunkSize = 0 },
		"a page past the end": func(p *format.Point) { p.Pages[0].Page = 1 },
		"a page before zero":  func(p *format.Point) { p.Pages[0].Page = -1 },
		"one page twice":      func(p *format.Point) { p.Pages = append(p.Pages, p.Pages[0]) },
		"a page nowhere":      func(p *format.Point) { p.Pages[0].Place.Pack = ivd.PackID{} },
		"a page of nothing":   func(p *format.Point) { p.Pages[0].Place.Length = 1 },
	} {
		g := makeGolden(t)
		lie(&g.point)
		if _, err := g.point.Encode(); err == nil {
			t.Errorf("%s is written", name)
		}
	}
}
