package plan

import (
	"encoding/binary"
	"math"
	"math/bits"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// drawGeometry draws geometries of the smallest chunk.
func drawGeometry(t *rapid.T, label string, from, to int64) ivd.Geometry {
	return ivd.Geometry{Capacity: rapid.Int64Range(from, to).Draw(t, label), ChunkSize: ivd.MinChunkSize}
}

func drawAreas(t *rapid.T, capacity int64) []ivd.Extent {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) ivd.Extent {
		return ivd.Extent{
			Offset: rapid.OneOf(rapid.Int64Range(0, capacity+1), rapid.Int64Range(0, math.MaxInt64)).Draw(t, "offset"),
			Length: rapid.OneOf(rapid.Int64Range(0, 3*ivd.MinChunkSize), rapid.Int64Range(0, 1<<32), rapid.Just(int64(math.MaxInt64))).Draw(t, "length"),
		}
	}), 0, 6).Draw(t, "areas")
}

// wanted asks the question of each chunk by itself, with 128-bit sums.
func wanted(d Disk, chunk ivd.ChunkIndex) bool {
	e := d.Geometry.Chunk(chunk)
	for _, a := range d.Areas {
		end, carry := bits.Add64(uint64(a.Offset), uint64(a.Length), 0)
		if a.Length > 0 && a.Offset < e.End() && (carry > 0 || end > uint64(e.Offset)) {
			return true
		}
	}
	return d.Mode == Changed && (chunk >= d.Parent.Geometry.Chunks() || d.Parent.Geometry.Chunk(chunk) != e)
}

func TestBackupAgainstEachChunk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int64{1 << 20, 1 << 28, 1 << 28, 1 << 28, 40 << 30}).Draw(t, "limit") // up to three pages, seldom
		d := Disk{Geometry: drawGeometry(t, "capacity", 0, limit), Mode: InUse, JobBytes: rapid.Int64Range(0, 30<<30).Draw(t, "job bytes")}
		d.Areas = drawAreas(t, d.Geometry.Capacity)
		if rapid.Bool().Draw(t, "changed") {
			d.Mode = Changed
			d.Parent = &Parent{Geometry: drawGeometry(t, "parent's capacity", max(0, d.Geometry.Capacity-1<<30), d.Geometry.Capacity)}
		}
		jobs, err := Backup(job.Job{}, d)
		if err != nil {
			t.Fatal(err)
		}
		checkCover(t, d, jobs)
		read := map[ivd.SpanIndex]ivd.Bitmap{}
		for _, j := range jobs {
			for _, w := range j.Backup.Spans {
				read[w.Span] = w.Read
			}
		}
		for chunk := range d.Geometry.Chunks() {
			b := read[chunk.Span()]
			if got, want := b.Has(int(chunk-chunk.Span().FirstChunk())), wanted(d, chunk); got != want {
				t.Fatalf("chunk %d of %+v: read %v, want %v", chunk, d, got, want)
			}
		}
	})
}

// checkCover wants every page in exactly one job, in order, every span in its
// page's job, in order, never empty, and no mark beyond the disk's end.
func checkCover(t interface {
	Fatalf(string, ...any)
}, d Disk, jobs []job.Job,
) {
	next, lastSpan := ivd.PageIndex(0), ivd.SpanIndex(-1)
	for _, j := range jobs {
		b := j.Backup
		if len(b.Pages) == 0 || len(b.Pages) > job.MaxPages {
			t.Fatalf("a job of %d pages", len(b.Pages))
		}
		first := next
		for _, page := range b.Pages {
			if page != next {
				t.Fatalf("page %d where %d comes next", page, next)
			}
			next++
		}
		sum := int64(0)
		for _, w := range b.Spans {
			if w.Span <= lastSpan || w.Span.Page() < first || w.Span.Page() >= next || w.Read.Count() == 0 {
				t.Fatalf("span %d after %d in a job of pages %d to %d, %d chunks", w.Span, lastSpan, first, next, w.Read.Count())
			}
			for _, to := range w.Read.Runs() {
				if to > d.Geometry.SpanChunks(w.Span) {
					t.Fatalf("span %d marked beyond the disk", w.Span)
				}
			}
			lastSpan = w.Span
			sum += int64(w.Read.Count()) * d.Geometry.ChunkSize
		}
		limit := d.JobBytes
		if limit <= 0 {
			limit = DefaultJobBytes
		}
		if len(b.Pages) > 1 && sum > limit+d.Geometry.ChunkSize {
			t.Fatalf("a job of %d pages has %d bytes to read", len(b.Pages), sum)
		}
	}
	if next != d.Geometry.Pages() {
		t.Fatalf("%d pages of %d in jobs", next, d.Geometry.Pages())
	}
}

func TestSameInputSameJobs(t *testing.T) {
	g := geometry(1 << 42)
	var areas []ivd.Extent
	for i := range int64(500) {
		areas = append(areas, ivd.Extent{Offset: i * 7919 * 65536 % g.Capacity, Length: i * 1000})
	}
	d := Disk{Geometry: g, Mode: InUse, Areas: areas}
	first, err := Backup(job.Job{}, d)
	if err != nil {
		t.Fatal(err)
	}
	for i, j := 0, len(areas)-1; i < j; i, j = i+1, j-1 {
		areas[i], areas[j] = areas[j], areas[i]
	}
	second, err := Backup(job.Job{}, d)
	if err != nil || !reflect.DeepEqual(first, second) {
		t.Errorf("areas in another order give other jobs: %v", err)
	}
}

// FuzzAreas feeds what a broken or hostile vCenter might answer.
func FuzzAreas(f *testing.F) {
	seed := func(capacity int64, values ...int64) {
		var b []byte
		for _, v := range values {
			b = binary.LittleEndian.AppendUint64(b, uint64(v))
		}
		f.Add(capacity, b)
	}
	seed(1<<30, 0, 1<<30)
	seed(1<<30+512, -1, 10)
	seed(1<<30, 5, math.MaxInt64)
	seed(1<<30, math.MaxInt64, math.MaxInt64)
	seed(1<<30, 0, -5)
	seed(0, 0, 1)
	seed(-1, 0, 1)
	seed(1<<40, 10, 1<<20, 15, 1<<20, 1<<39, math.MinInt64)
	f.Fuzz(func(t *testing.T, capacity int64, raw []byte) {
		if capacity > 1<<38 {
			capacity %= 1 << 38
		}
		d := Disk{Geometry: ivd.Geometry{Capacity: capacity, ChunkSize: ivd.DefaultChunkSize}, Mode: InUse}
		wild := false
		for ; len(raw) >= 16; raw = raw[16:] {
			e := ivd.Extent{Offset: int64(binary.LittleEndian.Uint64(raw)), Length: int64(binary.LittleEndian.Uint64(raw[8:]))}
			wild = wild || e.Offset < 0 || e.Length < 0
			d.Areas = append(d.Areas, e)
		}
		jobs, err := Backup(job.Job{}, d)
		if (err != nil) != (wild || capacity < 0) {
			t.Fatalf("capacity %d, areas %v: %v", capacity, d.Areas, err)
		}
		if err == nil {
			checkCover(t, d, jobs)
		}
	})
}

// A cover is the chunks that a plan reads for the same areas, however they come, and
// is the same when it was stored.
func TestCoverAgainstEachChunk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGeometry(t, "capacity", 0, 1<<24)
		d := Disk{Geometry: g, Mode: InUse, Areas: drawAreas(t, g.Capacity)}
		list, bytes := Cover(g, d.Areas)
		sum, end := int64(0), int64(-1)
		covered := map[ivd.ChunkIndex]bool{}
		for _, e := range list {
			if e.Offset <= end || e.Length <= 0 || e.Offset%g.ChunkSize != 0 || e.End() > g.Capacity {
				t.Fatalf("%+v after %d", e, end)
			}
			for c := ivd.ChunkIndex(e.Offset / g.ChunkSize); c < g.Chunks() && g.Chunk(c).Offset < e.End(); c++ {
				covered[c] = true
				sum += g.Chunk(c).Length
			}
			end = e.End()
		}
		for c := range g.Chunks() {
			if covered[c] != wanted(d, c) {
				t.Fatalf("chunk %d of %+v", c, d.Areas)
			}
		}
		if sum != bytes {
			t.Fatalf("%d bytes, want %d", bytes, sum)
		}
		again, err := DecodeAreas(EncodeAreas(list))
		if err != nil || !slices.Equal(again, list) {
			t.Fatalf("stored: %v, %v", again, err)
		}
	})
}

// What was not written by EncodeAreas is refused, or means areas.
func TestAreasThatWereNotWritten(t *testing.T) {
	for _, text := range []string{"\x80", "\x01", "\x01\x80", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01", "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x80\x80\x80\x80\x80\x80\x80\x02\x01"} {
		if areas, err := DecodeAreas([]byte(text)); ivd.KindOf(err) != ivd.Corrupt {
			t.Errorf("%q is %v, %v", text, areas, err)
		}
	}
}

// FuzzDecodeAreas reads what the queue may have damaged: what is taken is in order, within
// what a disk can be, and written as it was read.
func FuzzDecodeAreas(f *testing.F) {
	f.Add(EncodeAreas([]ivd.Extent{{Offset: 0, Length: 512}, {Offset: 1 << 30, Length: 1 << 20}}))
	f.Add([]byte{0x80})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1})
	f.Fuzz(func(t *testing.T, text []byte) {
		areas, err := DecodeAreas(text)
		if err != nil {
			if ivd.KindOf(err) != ivd.Corrupt {
				t.Error(err)
			}
			return
		}
		end := int64(0)
		for _, a := range areas {
			if a.Offset < end || a.Length < 0 || a.End() > ivd.MaxCapacity {
				t.Fatalf("%v after %d", a, end)
			}
			end = a.End()
		}
		if again, err := DecodeAreas(EncodeAreas(areas)); err != nil || !reflect.DeepEqual(again, areas) {
			t.Errorf("%v, %v", again, err)
		}
	})
}
