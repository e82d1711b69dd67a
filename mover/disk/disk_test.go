package disk

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"ivdmover/mover/disk/disktest"
	"ivdmover/shared/ivd"
	"ivdmover/vddk"
)

var (
	lib  *vddk.Library
	host *Host
)

func TestMain(m *testing.M) {
	disktest.Main(m, func(l *vddk.Library) (err error) {
		lib = l
		host, err = NewHost(l, Options{Transports: []string{"file", "nbdssl"}})
		return err
	})
}

// sparseFile makes a file with content at some places.
func sparseFile(t *testing.T, size int64, at ...ivd.Extent) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.raw")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, e := range at {
		b := make([]byte, e.Length)
		for i := range b {
			b[i] = byte(rnd.Uint32()) | 1
		}
		if _, err := f.WriteAt(b, e.Offset); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	return path
}

func openFile(t *testing.T, path string, write bool) *Disk {
	t.Helper()
	d, err := host.OpenFile(path, write)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestTransportsAreThoseOfBoth(t *testing.T) {
	h, err := NewHost(lib, Options{Transports: []string{"san", "nbdssl", "file"}})
	if err != nil {
		t.Fatal(err)
	}
	has := lib.TransportModes()
	for _, m := range h.Modes() {
		if !slices.Contains(has, m) {
			t.Errorf("%s is none of the library's %v", m, has)
		}
	}
	if i, j := slices.Index(h.Modes(), "nbdssl"), slices.Index(h.Modes(), "file"); i < 0 || j < i {
		t.Errorf("modes %v are not in the configuration's order", h.Modes())
	}
	_, err = NewHost(lib, Options{Transports: []string{"carrier pigeon"}})
	if ivd.KindOf(err) != ivd.Invalid || ivd.RemedyOf(err) == "" {
		t.Errorf("err = %v", err)
	}
}

func TestReadsAndWritesBytes(t *testing.T) {
	const size = 3<<20 + 5*512
	path := sparseFile(t, size, ivd.Extent{Offset: 1 << 20, Length: 1 << 20})
	d := openFile(t, path, true)
	if d.Capacity() != size || d.Transport() != "file" {
		t.Fatalf("capacity %d by %s", d.Capacity(), d.Transport())
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	buf := vddk.Alloc(1 << 20)
	defer buf.Free()
	tail := buf.Bytes()[:5*512]
	if err := d.ReadAt(t.Context(), tail, 3<<20); err != nil || !bytes.Equal(tail, want[3<<20:]) {
		t.Fatalf("the tail: %v", err)
	}
	var readers sync.WaitGroup
	for i := range 6 {
		readers.Go(func() {
			b := vddk.Alloc(512 << 10)
			defer b.Free()
			off := int64(i) * 512 << 10
			if err := d.ReadAt(t.Context(), b.Bytes(), off); err != nil || !bytes.Equal(b.Bytes(), want[off:off+512<<10]) {
				t.Errorf("at %d: %v", off, err)
			}
		})
	}
	readers.Wait()
	copy(buf.Bytes(), bytes.Repeat([]byte("written "), 1<<17))
	if err := d.WriteAt(t.Context(), buf.Bytes(), 2<<20); err != nil {
		t.Fatal(err)
	}
	if err := d.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	copy(want[2<<20:], buf.Bytes())
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("what was written is not there: %v", err)
	}
	if err := d.ReadAt(t.Context(), buf.Bytes()[:100], 0); ivd.KindOf(err) != ivd.Permanent {
		t.Errorf("a read of 100 bytes: %v", err)
	}
}

func TestAllocatedCoversWhatIsThere(t *testing.T) {
	const unit = 64 << 10
	const size = 100*unit + 7*512
	content := []ivd.Extent{{Offset: 3 * unit, Length: 10}, {Offset: 50*unit + 100, Length: 3 * unit}}
	d := openFile(t, sparseFile(t, size, content...), false)
	for _, granularity := range []int64{4 << 10, unit, 256 << 10} {
		got, err := d.Allocated(t.Context(), ivd.Extent{Length: size}, granularity)
		if err != nil {
			t.Fatal(err)
		}
		g := max(granularity, unit)
		covered := func(at int64) bool {
			return slices.ContainsFunc(got, func(e ivd.Extent) bool { return e.Offset <= at && at < e.End() })
		}
		for at := int64(0); at < size; at += 512 {
			must := at >= size/g*g // the tail, which cannot be asked for
			for _, c := range content {
				must = must || at+512 > c.Offset && at < c.End()
			}
			may := must
			for _, c := range content {
				may = may || at >= c.Offset/g*g && at < (c.End()+g-1)/g*g
			}
			if covered(at) && !may || !covered(at) && must {
				t.Fatalf("granularity %d: %d is allocated: %t; got %v", granularity, at, covered(at), got)
			}
		}
	}
	// A part that is not aligned to anything.
	e := ivd.Extent{Offset: 3*unit + 512, Length: unit}
	got, err := d.Allocated(t.Context(), e, unit)
	if err != nil || len(got) != 1 || got[0] != (ivd.Extent{Offset: e.Offset, Length: unit - 512}) {
		t.Errorf("of %v: %v, %v", e, got, err)
	}
}

func TestCapacityMustBeTheJobs(t *testing.T) {
	d := openFile(t, sparseFile(t, 2<<20), false)
	for _, c := range []struct {
		want   int64
		larger bool
		good   bool
	}{{2 << 20, false, true}, {2<<20 - 512, true, true}, {2<<20 - 512, false, false}, {2<<20 + 512, true, false}} {
		err := d.CheckCapacity(c.want, c.larger)
		if (err == nil) != c.good {
			t.Errorf("%+v: %v", c, err)
		}
		if err != nil && (ivd.KindOf(err) != ivd.Permanent || !strings.Contains(err.Error(), "2097152")) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestErrorsSayWhatTheyMean(t *testing.T) {
	_, err := host.OpenFile(filepath.Join(t.TempDir(), "none.raw"), false)
	if ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("a missing file: %v, kind %q", err, ivd.KindOf(err))
	}
	ro := openFile(t, sparseFile(t, 1<<20), false)
	buf := vddk.Alloc(512)
	defer buf.Free()
	if err := ro.WriteAt(t.Context(), buf.Bytes(), 0); err == nil || ivd.KindOf(err).Retry() {
		t.Errorf("a write to a disk that is read: %v, kind %q", err, ivd.KindOf(err))
	}
	if err := ro.ReadAt(t.Context(), buf.Bytes(), 1<<20); ivd.KindOf(err) != ivd.Permanent {
		t.Errorf("a read beyond the end: %v, kind %q", err, ivd.KindOf(err))
	}
	for class := range kinds {
		err := classify(&vddk.Error{Class: class, Code: 1, Remedy: "do this"})
		if ivd.KindOf(err) != kinds[class] || ivd.RemedyOf(err) != "do this" {
			t.Errorf("%s: %v", class, err)
		}
	}
	if err := classify(errors.New("else")); ivd.KindOf(err) != ivd.Unknown {
		t.Error(err)
	}
}

func TestEveryClassHasItsKind(t *testing.T) {
	for _, c := range []vddk.Class{
		vddk.Transient, vddk.TransientAfterEndAccess, vddk.Locked, vddk.Denied, vddk.LoginExpired,
		vddk.Fallback, vddk.Gone, vddk.Misuse, vddk.Encrypted, vddk.Full, vddk.Generic,
	} {
		if _, ok := kinds[c]; !ok {
			t.Errorf("class %s has no kind", c)
		}
	}
}
