package format_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Golden files are made once for each version of the format, and stay: what was
// written once must be read for ever.
var update = flag.Bool("update", false, "write the golden files of the present version anew")

var goldenGeometry = ivd.Geometry{Capacity: 2*ivd.ChunksPerSpan*ivd.DefaultChunkSize + 777, ChunkSize: ivd.DefaultChunkSize}

const goldenRun, goldenLease = ivd.RunID("20261124t230000z-1f0c2a9b"), ivd.LeaseID("0b0f7c5e-3f0a-4d92-8a54-7d1be6a1c001")

var goldenTime = time.Date(2026, 11, 24, 23, 0, 0, 0, time.UTC)

// golden is everything that the golden files hold.
type golden struct {
	chunks    [][]byte
	data      *format.Pack
	node      *format.Node
	page      *format.Page
	index     *format.Pack
	point     format.Point
	lease     format.Lease
	writer    format.Writer
	condemned format.Condemned
	retired   format.Retired
}

func makeGolden(t *testing.T) golden {
	t.Helper()
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	g := golden{
		chunks: [][]byte{content(1, 4096, true), content(2, 70_000, false), content(3, 777, false)},
		data:   format.NewPack(header(format.DataPack, 1)),
		node:   format.NewNode(goldenGeometry, 1),
		page:   format.NewPage(goldenGeometry, 0),
		index:  format.NewPack(header(format.IndexPack, 4)),
	}
	places := make([]ivd.Place, len(g.chunks))
	for i, c := range g.chunks {
		places[i] = add(g.data, format.ChunkFrame, c, 3)
	}
	_, data := g.data.Finish()
	for i := range places {
		places[i].PackRef = data
	}
	g.node.Set(0, format.Sum(g.chunks[0]), places[0])
	g.node.Set(255, format.Sum(g.chunks[1]), places[1])
	last := format.NewNode(goldenGeometry, 2)
	last.Set(0, format.Sum(g.chunks[2]), places[2])
	for _, n := range []*format.Node{g.node, last} {
		plain := must(n.Encode())
		at := add(g.index, format.NodeFrame, plain, 3)
		at.PackRef = format.OwnPack
		g.page.SetNode(ivd.NodeRef{Span: n.Span, ID: format.Sum(plain), Place: at}, n.Packs)
	}
	plain := must(g.page.Encode())
	at := add(g.index, format.PageFrame, plain, 3)
	_, at.PackRef = g.index.Finish()
	disk := ivd.DiskID("6000c298-1111-4222-8333-444455556666")
	g.point = format.Point{
		ID: ivd.NewPointID(disk, goldenTime, goldenRun), Repository: repository,
		Disk: ivd.NewDiskRef("lab", "datastore-52", disk),
		Name: "pvc-web-1", DatastoreName: "fast", Geometry: goldenGeometry, Run: goldenRun,
		Lease: goldenLease, LeaseDeadline: goldenTime.Add(24 * time.Hour), Time: goldenTime,
		Parent: ivd.NewPointID(disk, goldenTime.Add(-24*time.Hour), "20261123t230000z-00000001"), Snapshot: "snap-7",
		ChangeID: "52 d6 9a 2c/17", CBT: "on", Mode: "changed",
		Pages:    []ivd.PageRef{{Page: 0, ID: format.Sum(plain), Place: at}},
		Stats:    ivd.Stats{DiskBytes: goldenGeometry.Capacity, ReadBytes: 3 << 18, ZeroBytes: 1 << 18, NewBytes: 74873, CompressedBytes: 5000, StoredBytes: 6000, Packs: 2},
		Metadata: map[string]string{"namespace": "shop", "pvc": "web-1"},
	}
	g.lease = format.Lease{Repository: repository, ID: goldenLease, Kind: format.WriteLease, Owner: "ivd@host", Run: goldenRun, Opened: goldenTime, Deadline: goldenTime.Add(24 * time.Hour)}
	g.writer = format.Writer{Repository: repository, ID: writer, Mover: "proxy-1", Lease: goldenLease, Created: goldenTime}
	g.condemned = format.Condemned{Repository: repository, ID: "3c1d", Created: goldenTime, Packs: []ivd.PackID{data.Pack}, Points: []ivd.PointID{g.point.ID}}
	g.retired = format.Retired{Repository: repository, Pack: data.Pack, Reason: "mostly dead", Created: goldenTime}
	return g
}

// files is what each golden file is now.
func (g golden) files(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	files["data.pack"], _ = g.data.Finish()
	files["index.pack"], _ = g.index.Finish()
	for name, encode := range map[string]func() ([]byte, error){
		"node": g.node.Encode, "page": g.page.Encode, "point": g.point.Encode, "lease": g.lease.Encode,
		"writer": g.writer.Encode, "condemned": g.condemned.Encode, "retired": g.retired.Encode,
	} {
		b, err := encode()
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	return files
}

const goldenFolder = "testdata/v1"

func readGolden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(goldenFolder, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenUpdate(t *testing.T) {
	files := makeGolden(t).files(t) // which must at least be possible
	if !*update {
		return
	}
	if err := os.MkdirAll(goldenFolder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(goldenFolder, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What the golden files say is written today as it was then, byte for byte. Packs
// are left out, since they depend on what zstd makes of their content.
func TestGoldenWrite(t *testing.T) {
	for name, again := range map[string]func([]byte) ([]byte, error){
		"node": func(b []byte) ([]byte, error) {
			n, err := format.DecodeNode(b, goldenGeometry, 1)
			return encoded(n, err)
		},
		"page": func(b []byte) ([]byte, error) {
			p, err := format.DecodePage(b, goldenGeometry, 0)
			return encoded(p, err)
		},
		"point":     func(b []byte) ([]byte, error) { p, err := format.DecodePoint(b); return encoded(p, err) },
		"lease":     func(b []byte) ([]byte, error) { l, err := format.DecodeLease(b); return encoded(l, err) },
		"writer":    func(b []byte) ([]byte, error) { w, err := format.DecodeWriter(b); return encoded(w, err) },
		"condemned": func(b []byte) ([]byte, error) { c, err := format.DecodeCondemned(b); return encoded(c, err) },
		"retired":   func(b []byte) ([]byte, error) { r, err := format.DecodeRetired(b); return encoded(r, err) },
	} {
		old := readGolden(t, name)
		if b, err := again(old); err != nil || !bytes.Equal(b, old) {
			t.Errorf("%s is written differently: %v", name, err)
		}
	}
}

func encoded(v interface{ Encode() ([]byte, error) }, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return v.Encode()
}

func TestGoldenRead(t *testing.T) {
	g := makeGolden(t)
	check := func(name string, got, want any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, got, want)
		}
	}
	g.point.Version, g.lease.Version, g.writer.Version, g.condemned.Version, g.retired.Version = 1, 1, 1, 1, 1
	point, err := format.DecodePoint(readGolden(t, "point"))
	// Where pages lie in packs depends on what zstd makes of the nodes.
	g.point.Pages, g.condemned.Packs, g.retired.Pack = point.Pages, nil, ivd.PackID{}
	check("point", point, g.point, err)
	lease, err := format.DecodeLease(readGolden(t, "lease"))
	check("lease", lease, g.lease, err)
	w, err := format.DecodeWriter(readGolden(t, "writer"))
	check("writer", w, g.writer, err)
	condemned, err := format.DecodeCondemned(readGolden(t, "condemned"))
	condemned.Packs = nil
	check("condemned", condemned, g.condemned, err)
	retired, err := format.DecodeRetired(readGolden(t, "retired"))
	retired.Pack = ivd.PackID{}
	check("retired", retired, g.retired, err)
	node, err := format.DecodeNode(readGolden(t, "node"), goldenGeometry, 1)
	check("node", node.Chunks[255].ID, format.Sum(g.chunks[1]), err)
	page, err := format.DecodePage(readGolden(t, "page"), goldenGeometry, 0)
	check("page", page.Ref(1).Place.PackRef, format.OwnPack, err)
	data := readGolden(t, "data.pack")
	h, entries, err := format.DecodePack(data)
	check("data.pack", h, header(format.DataPack, 1), err)
	for i, e := range entries {
		plain, err := format.OpenFrame(nil, data[e.Offset:e.Offset+e.Length], format.Sum(g.chunks[i]))
		check("chunk", plain, g.chunks[i], err)
	}
	_, entries, err = format.DecodePack(readGolden(t, "index.pack"))
	check("index.pack", len(entries), 3, err)
}
