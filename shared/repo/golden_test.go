package repo_test

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"ivdmover/shared/budget"
	"ivdmover/shared/format"
	"ivdmover/shared/image"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

// A repository that was written once stays, and must be read for ever.
var update = flag.Bool("update", false, "write the golden repository of the present version anew")

const goldenFolder = "testdata/v1"

var goldenGeometry = ivd.Geometry{Capacity: 2*ivd.ChunksPerSpan*ivd.MinChunkSize + 777, ChunkSize: ivd.MinChunkSize}

// goldenChunks is what the golden disk holds, by chunk; all else is zeros.
func goldenChunks() map[ivd.ChunkIndex][]byte {
	text := bytes.Repeat([]byte("a guest's file, over and over. "), 1+ivd.MinChunkSize/31)
	noise := make([]byte, ivd.MinChunkSize)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	return map[ivd.ChunkIndex][]byte{
		0: text[:ivd.MinChunkSize], 1: noise, 255: text[5 : 5+ivd.MinChunkSize],
		512: text[:777], // the disk's last, which is short
	}
}

// writeGolden stores the golden point as a mover and a coordinator do.
func writeGolden(t *testing.T, r *repo.Repository) {
	t.Helper()
	w := writerOf(t, r)
	data, index := newPack(w, format.DataPack), newPack(w, format.IndexPack)
	chunks := goldenChunks()
	places := map[ivd.ChunkIndex]ivd.Place{}
	packs := map[ivd.PackID]format.PackKind{}
	for _, c := range []ivd.ChunkIndex{0, 1, 255, 512} {
		_, places[c] = addFrame(data, format.ChunkFrame, chunks[c])
	}
	pack := putPack(t, w, data)
	packs[pack.Pack] = format.DataPack
	page := format.NewPage(goldenGeometry, 0)
	for _, span := range []ivd.SpanIndex{0, 2} {
		n := format.NewNode(goldenGeometry, span)
		for c, place := range places {
			if c.Span() == span {
				place.PackRef = pack
				n.Set(int(c-span.FirstChunk()), format.Sum(chunks[c]), place)
			}
		}
		plain, err := n.Encode()
		if err != nil {
			t.Fatal(err)
		}
		id, at := addFrame(index, format.NodeFrame, plain)
		at.PackRef = format.OwnPack
		page.SetNode(ivd.NodeRef{Span: span, ID: id, Place: at}, n.Packs)
	}
	plain, err := page.Encode()
	if err != nil {
		t.Fatal(err)
	}
	id, at := addFrame(index, format.PageFrame, plain)
	at.PackRef = putPack(t, w, index)
	packs[at.Pack] = format.IndexPack
	p := point(r, "golden")
	p.Geometry, p.Pages = goldenGeometry, []ivd.PageRef{{ID: id, Place: at}}
	if err := commit(r, t.Context(), lease(t, r, repo.LeaseSpec{Kind: repo.WriteLease}), p); err != nil {
		t.Fatal(err)
	}
	if _, err := r.PutStoredPacks(t.Context(), p.Run, p.Time, packs); err != nil {
		t.Fatal(err)
	}
}

func TestGoldenUpdate(t *testing.T) {
	b, r := made(t)
	writeGolden(t, r) // which must at least be possible
	if !*update {
		return
	}
	if err := os.RemoveAll(goldenFolder); err != nil {
		t.Fatal(err)
	}
	for name, o := range b.objects {
		path := filepath.Join(goldenFolder, filepath.FromSlash(string(name)))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, o.Body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// golden is the golden repository in memory.
func golden(t *testing.T) *bucket {
	t.Helper()
	b := newBucket()
	err := filepath.WalkDir(goldenFolder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		name, _ := filepath.Rel(goldenFolder, path)
		b.put(store.Name(filepath.ToSlash(name)), body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenRestore(t *testing.T) {
	r, err := repo.Open(t.Context(), golden(t))
	if err != nil {
		t.Fatal(err)
	}
	sameDisk(t, restoreGolden(t, r))
}

// restoreGolden reads the golden disk.
func restoreGolden(t *testing.T, r *repo.Repository) map[ivd.ChunkIndex][]byte {
	t.Helper()
	got := map[ivd.ChunkIndex][]byte{}
	for info, err := range r.Points(t.Context(), repo.PointsOf{Source: source, Disk: disk}) {
		if err != nil {
			t.Fatal(err)
		}
		readPoint(t, r, info.ID, got)
	}
	return got
}

// readPoint reads the chunks of a point that are stored.
func readPoint(t *testing.T, r *repo.Repository, id ivd.PointID, into map[ivd.ChunkIndex][]byte) {
	t.Helper()
	memory := budget.NewMemory(64<<20, func(n int) budget.Buffer { return goBuffer(make([]byte, n)) })
	im, err := image.Open(t.Context(), r, image.Options{Point: id, Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close(t.Context())
	size := im.Point().Geometry.ChunkSize
	for p, err := range im.Pieces(t.Context(), slices.Values([]ivd.Extent{im.Whole()})) {
		if err != nil {
			t.Fatal(err)
		}
		for n := int64(0); !p.Zero() && n < p.Length; n += size {
			into[ivd.ChunkIndex((p.Offset+n)/size)] = bytes.Clone(p.Data[n:min(n+size, p.Length)])
		}
		p.Release()
	}
}

type goBuffer []byte

func (b goBuffer) Bytes() []byte { return b }
func (goBuffer) Free()           {}

func sameDisk(t *testing.T, got map[ivd.ChunkIndex][]byte) {
	t.Helper()
	want := goldenChunks()
	if len(got) != len(want) {
		t.Errorf("%d chunks, want %d", len(got), len(want))
	}
	for i, c := range want {
		if !bytes.Equal(got[i], c) {
			t.Errorf("chunk %d differs", i)
		}
	}
}
