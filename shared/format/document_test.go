package format_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

var (
	tableHead = regexp.MustCompile(`^### (.+) \((\d+) bytes\)$`)
	tableRow  = regexp.MustCompile(`^\| (\d+) \| (\d+) \|`)
)

// documented are the sizes of docs/format.md's tables, each of which is whole:
// its rows follow each other without a gap.
func documented(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile("../../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{}
	name, end := "", 0
	for line := range strings.SplitSeq(string(text)+"\n### end (0 bytes)", "\n") {
		if m := tableHead.FindStringSubmatch(line); m != nil {
			if name != "" && end != sizes[name] {
				t.Errorf("%s: rows of %d bytes, want %d", name, end, sizes[name])
			}
			name, end = m[1], 0
			sizes[name], _ = strconv.Atoi(m[2])
		} else if m := tableRow.FindStringSubmatch(line); m != nil {
			if m[1] != strconv.Itoa(end) {
				t.Errorf("%s: a row at %s, want it at %d", name, m[1], end)
			}
			n, _ := strconv.Atoi(m[2])
			end += n
		}
	}
	return sizes
}

// The document's sizes are those of what is written.
func TestDocument(t *testing.T) {
	g := ivd.Geometry{Capacity: 1 << 40, ChunkSize: ivd.DefaultChunkSize}
	size := func(b []byte, err error) int {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return len(b)
	}
	node, page := format.NewNode(g, 0), format.NewPage(g, 0)
	emptyNode, emptyPage := size(node.Encode()), size(page.Encode())
	set := func(i int, pack byte) {
		node.Set(i, ivd.ContentID{1}, ivd.Place{PackRef: packRef(pack), Offset: format.PackHeaderSize, Length: 100})
	}
	set(0, 1)
	oneChunk := size(node.Encode())
	set(1, 1)
	twoChunks := size(node.Encode())
	span := func(i ivd.SpanIndex) {
		page.SetNode(ivd.NodeRef{Span: i, ID: ivd.ContentID{1}, Place: ivd.Place{PackRef: packRef(2), Offset: format.PackHeaderSize, Length: 100}}, nil)
	}
	span(0)
	oneSpan := size(page.Encode())
	span(1)
	twoSpans := size(page.Encode())
	p := format.NewPack(header(format.DataPack, 0), nil)
	header := p.Len()
	add(p, format.ChunkFrame, nil, 0)
	frame := p.Len() - header
	body, _ := p.Finish()
	record, err := format.SealRecord(format.RunMagic, nil)
	list, listErr := format.Condemned{Head: format.Head{Repository: repository}}.Encode()
	if listErr != nil {
		t.Fatal(listErr)
	}
	packs := func(n int) int {
		s := format.StoredPacks{Head: format.Head{Repository: repository}}
		for i := range n {
			s.Packs = append(s.Packs, format.StoredPack{ID: ivd.PackID{byte(i)}, Kind: format.DataPack})
		}
		return size(s.Encode())
	}
	want := map[string]int{
		"Pack header":      header,
		"Frame header":     frame - format.TagSize,
		"Frame tag":        format.TagSize,
		"Directory entry":  len(body) - header - 2*frame - format.TrailerSize,
		"Pack trailer":     format.TrailerSize,
		"Node header":      emptyNode - ivd.ChunksPerSpan/8,
		"Node entry":       twoChunks - oneChunk,
		"Pack table entry": oneChunk - emptyNode - (twoChunks - oneChunk),
		"Page header":      emptyPage - ivd.SpansPerPage,
		"Page entry":       twoSpans - oneSpan + 1 - 4, // a byte of state less, an index of a pack more
		"Record header":    size(record, err),
		"List head":        len(list) - size(record, err) - 4*4 - 2*2,
		"end":              0,

		"Entry of a run's packs": packs(2) - packs(1),
	}
	got := documented(t)
	for name, n := range want {
		if got[name] != n {
			t.Errorf("docs/format.md: %s of %d bytes, the code's is %d", name, got[name], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("docs/format.md has %d tables, the test knows %d", len(got), len(want))
	}
}
