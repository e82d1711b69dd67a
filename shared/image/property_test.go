package image_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"ivdmover/shared/image"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo/repotest"
)

// drawDisk makes a disk of a few spans, with an end that fits nothing.
func drawDisk(t *rapid.T) *repotest.Disk {
	chunk := rapid.SampledFrom([]int64{cs, 4 * cs}).Draw(t, "chunk size")
	spans := rapid.Int64Range(0, 4).Draw(t, "spans")
	capacity := spans*ivd.ChunksPerSpan*chunk + rapid.SampledFrom([]int64{0, 1, 512, chunk - 1, 3*chunk + 512}).Draw(t, "and a bit")
	d := repotest.NewDisk(ivd.Geometry{Capacity: capacity, ChunkSize: chunk})
	rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	if capacity > 0 {
		d.Fill(rnd, rapid.IntRange(0, 25).Draw(t, "writes"), 6*chunk)
	}
	if same := rapid.IntRange(0, 6).Draw(t, "repeated chunks"); same > 0 && capacity > 8*chunk {
		b := bytes.Repeat([]byte{7}, int(chunk))
		for i := range int64(same) { // one content, in neighbours too
			_, _ = d.WriteAt(b, (1+i/2+i%2*3)*chunk)
		}
	}
	return d
}

func drawLayout(t *rapid.T) repotest.Layout {
	l := repotest.Layout{
		ChunksPerPack: rapid.SampledFrom([]int{0, 1, 3, 40}).Draw(t, "chunks a pack"),
		NodesPerPack:  rapid.SampledFrom([]int{0, 1, 2}).Draw(t, "nodes a pack"),
	}
	if rapid.Bool().Draw(t, "out of order") {
		l.Order = func(list []ivd.ChunkIndex) []ivd.ChunkIndex {
			list = slices.Clone(list)
			rand.New(rand.NewPCG(3, 4)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			return list
		}
	}
	return l
}

func drawRange(t *rapid.T, size int64) ivd.Extent {
	off := rapid.Int64Range(0, size).Draw(t, "offset")
	return ivd.Extent{Offset: off, Length: rapid.Int64Range(0, min(size-off, 40*cs)).Draw(t, "length")}
}

// However a disk was stored, the image is the disk: at random, in order, of some
// ranges, and in what it says of data and zeros; with memory to the byte or plenty.
func TestImageIsTheDisk(t *testing.T) {
	// One for all: what is stored already is shared.
	repositories := map[bool]*repotest.Repository{false: repotest.New(t), true: repotest.Sealed(t)}
	rapid.Check(t, func(rt *rapid.T) {
		r := repositories[rapid.Bool().Draw(rt, "encrypted")]
		d := drawDisk(rt)
		p := r.Save(d, drawLayout(rt))
		o := image.Options{
			Point: p.ID, Fill: rapid.Bool().Draw(rt, "fill"),
			Cache: rapid.SampledFrom([]int64{0, 2 * d.ChunkSize, 1 << 20}).Draw(rt, "cache"),
			Piece: rapid.SampledFrom([]int64{0, 2 << 20, 3<<20 + 5}).Draw(rt, "piece"),
		}
		total := o.Need(d.Geometry)
		if rapid.Bool().Draw(rt, "plenty of memory") {
			total = 256 << 20
		}
		o.Memory = memory(t, total)
		im, err := image.Open(t.Context(), r.Repository, o)
		if err != nil {
			rt.Fatal(err)
		}
		defer im.Close(t.Context())
		if im.Size() != d.Capacity || im.Point().ID != p.ID {
			rt.Fatalf("an image of %d bytes of %s", im.Size(), im.Point().ID)
		}
		inOrder(rt, t, im, d, im.Whole())
		var some []ivd.Extent
		for range rapid.IntRange(0, 6).Draw(rt, "ranges") {
			some = append(some, drawRange(rt, d.Capacity))
		}
		inOrder(rt, t, im, d, some...)
		atRandom(rt, t, im, d)
		extents(rt, t, im, d, im.Whole())
		extents(rt, t, im, d, drawRange(rt, d.Capacity))
	})
}

// Pieces are cut where zeros begin and end, and at multiples of their size. Those of
// zeros are known to be zeros, and have memory where it is asked for.
func TestPieces(t *testing.T) {
	r := repotest.New(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: 64 * cs, ChunkSize: cs})
	for chunk := range int64(40) {
		if chunk != 1 && chunk != 3 && chunk < 8 {
			continue
		}
		if _, err := d.WriteAt([]byte{byte(chunk)}, chunk*cs); err != nil {
			t.Fatal(err)
		}
	}
	p := r.Save(d, repotest.Layout{})
	type piece struct {
		at, n int64 // in chunks
		zero  bool
	}
	want := []piece{{0, 1, true}, {1, 1, false}, {2, 1, true}, {3, 1, false}, {4, 4, true}, {8, 8, false}, {16, 16, false}, {32, 8, false}}
	for fill, zeros := range map[bool][]piece{false: {{40, 24, true}}, true: {{40, 8, true}, {48, 16, true}}} {
		im := open(t, r, p, func(o *image.Options) { o.Fill = fill })
		var got []piece
		for p, err := range im.Pieces(t.Context(), ranges(im.Whole())) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, piece{p.Offset / cs, p.Length / cs, p.Zero()})
			if (p.Data == nil) != (p.Zero() && !fill) {
				t.Errorf("the piece at %d has memory: %t", p.Offset, p.Data != nil)
			}
			p.Release()
		}
		if want := slices.Concat(want, zeros); !slices.Equal(got, want) {
			t.Errorf("with memory for zeros: %t: pieces %v, want %v", fill, got, want)
		}
	}
}

// A large disk has many pages, and of those of zeros there is none.
func TestPages(t *testing.T) {
	r := repotest.New(t)
	const page = ivd.SpansPerPage * ivd.ChunksPerSpan * cs
	d := repotest.NewDisk(ivd.Geometry{Capacity: 5*page + 1, ChunkSize: cs})
	data := []ivd.PageIndex{1, 3, 4}
	for _, index := range data {
		if _, err := d.WriteAt([]byte{byte(index)}, int64(index)*page+7); err != nil {
			t.Fatal(err)
		}
	}
	im := open(t, r, r.Save(d, repotest.Layout{}))
	for index := range ivd.PageIndex(6) {
		ref, found := im.PageRef(index)
		if want := slices.Contains(data, index); found != want || found && ref.Page != index {
			t.Errorf("page %d: %+v, %t", index, ref, found)
		}
		b, want := make([]byte, 1), []byte{0}
		if found {
			want[0] = byte(index)
		}
		if _, err := im.ReadAt(t.Context(), b, min(int64(index)*page+7, d.Capacity-1)); err != nil || !bytes.Equal(b, want) {
			t.Errorf("page %d holds %d: %v", index, b, err)
		}
	}
}

// A range may begin and end anywhere in data and in zeros.
func TestExtentsOfAPart(t *testing.T) {
	r := repotest.New(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: 10 * cs, ChunkSize: cs})
	for _, chunk := range []int64{1, 2, 3, 6} {
		if _, err := d.WriteAt([]byte{1}, chunk*cs); err != nil {
			t.Fatal(err)
		}
	}
	im := open(t, r, r.Save(d, repotest.Layout{}))
	for within, want := range map[ivd.Extent][]image.Extent{
		{Offset: 2*cs + 5, Length: cs}: {{Extent: ivd.Extent{Offset: 2*cs + 5, Length: cs}}},
		{Offset: 4*cs + 5, Length: 10}: {{Extent: ivd.Extent{Offset: 4*cs + 5, Length: 10}, Zero: true}},
		{Offset: cs, Length: 5 * cs}:   {{Extent: ivd.Extent{Offset: cs, Length: 3 * cs}}, {Extent: ivd.Extent{Offset: 4 * cs, Length: 2 * cs}, Zero: true}},
		{Offset: 5 * cs}:               nil,
	} {
		var got []image.Extent
		for e, err := range im.Extents(t.Context(), within) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e)
		}
		if !slices.Equal(got, want) {
			t.Errorf("extents of %+v are %+v, want %+v", within, got, want)
		}
	}
}

func inOrder(rt *rapid.T, t *testing.T, im *image.Image, d *repotest.Disk, list ...ivd.Extent) {
	rt.Helper()
	got, err := readAll(t.Context(), im, list...)
	if err != nil {
		rt.Fatal(err)
	}
	if want := content(t, d, list...); !bytes.Equal(got, want) {
		rt.Fatalf("%d bytes of %v are not the disk's %d", len(got), list, len(want))
	}
}

func atRandom(rt *rapid.T, t *testing.T, im *image.Image, d *repotest.Disk) {
	rt.Helper()
	var g errgroup.Group
	for range rapid.IntRange(1, 8).Draw(rt, "reads") {
		e := drawRange(rt, d.Capacity)
		beyond := rapid.SampledFrom([]int64{0, 0, 1, 5000}).Draw(rt, "beyond")
		g.Go(func() error {
			got, want := make([]byte, e.Length+beyond), make([]byte, e.Length+beyond)
			n, err := im.ReaderAt(t.Context()).ReadAt(got, e.Offset)
			wantN, wantErr := d.ReadAt(want, e.Offset)
			if n != wantN || !errors.Is(err, wantErr) || !bytes.Equal(got[:n], want[:n]) {
				return ivd.Errorf(ivd.Permanent, "%d bytes at %d: %d, %v, want %d, %v", len(got), e.Offset, n, err, wantN, wantErr)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		rt.Fatal(err)
	}
	for _, off := range []int64{d.Capacity, d.Capacity + 1} {
		if n, err := im.ReadAt(t.Context(), make([]byte, 1), off); n != 0 || !errors.Is(err, io.EOF) {
			rt.Fatalf("at %d of %d: %d, %v", off, d.Capacity, n, err)
		}
	}
}

// extents compares with the disk: what is zero by whole chunks, in the longest ranges.
func extents(rt *rapid.T, t *testing.T, im *image.Image, d *repotest.Disk, within ivd.Extent) {
	rt.Helper()
	off, last := within.Offset, image.Extent{}
	for e, err := range im.Extents(t.Context(), within) {
		if err != nil {
			rt.Fatal(err)
		}
		if e.Offset != off || e.Length <= 0 || last.Length > 0 && e.Zero == last.Zero {
			rt.Fatalf("%+v follows %+v", e, last)
		}
		for o := e.Offset; o < e.End(); o = (o/d.ChunkSize + 1) * d.ChunkSize {
			chunk := d.Chunk(ivd.ChunkIndex(o / d.ChunkSize))
			if zero := len(bytes.Trim(content(t, d, chunk), "\x00")) == 0; zero != e.Zero {
				rt.Fatalf("%+v says of the chunk at %d that it is zeros: %t", e, chunk.Offset, e.Zero)
			}
		}
		off, last = e.End(), e
	}
	if off != within.End() {
		rt.Fatalf("extents of %+v end at %d", within, off)
	}
}
