package image_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"ivdmover/shared/budget"
	"ivdmover/shared/image"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/soak"
)

// Mutants of this package that live, since no test can tell them apart:
//   - of pageCost and nodeCost every figure: what a page and a node take in memory is
//     only known about;
//   - of hold.stands `err != nil && ended`, since the next turn of its loop finds the
//     same;
//   - of Image.zeros the -1, which nobody looks at in a step without a unit;
//   - of step.append `from < 0`, since 0 is where a step's first chunk begins, which has
//     no piece before it.
//
// One lives that a test could find: of Image.open the frame's place in its error.

func TestMain(m *testing.M) {
	soak.Checks(12) // each writes a repository
	goleak.VerifyTestMain(m)
}

const cs = ivd.MinChunkSize

// memory is a budget that sees to it that nothing is left of what was taken.
func memory(t testing.TB, total int64) *budget.Memory {
	t.Helper()
	var mu sync.Mutex
	live := int64(0)
	count := func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		live += n
	}
	m := budget.NewMemory(total, func(n int) budget.Buffer {
		count(int64(n))
		return &buffer{make([]byte, n), count}
	})
	t.Cleanup(func() {
		if m.Used() != 0 || m.Peak() > total || live != 0 {
			t.Errorf("memory: %d used at the end, peak %d of %d, %d bytes of buffers not freed", m.Used(), m.Peak(), total, live)
		}
	})
	return m
}

type buffer struct {
	b     []byte
	count func(int64)
}

func (b *buffer) Bytes() []byte { return b.b }

// Free spoils the memory, so that who uses it afterwards is found out.
func (b *buffer) Free() {
	for i := range b.b {
		b.b[i] = 0xdb
	}
	b.count(-int64(len(b.b)))
}

// open opens a point with plenty of memory, and closes it with the test.
func open(t testing.TB, r *repotest.Repository, p repotest.Point, change ...func(*image.Options)) *image.Image {
	t.Helper()
	o := image.Options{Point: p.ID, Memory: memory(t, 256<<20), Owner: "a test"}
	for _, f := range change {
		f(&o)
	}
	im, err := image.Open(t.Context(), r.Repository, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close(context.WithoutCancel(t.Context())) })
	return im
}

func ranges(e ...ivd.Extent) func(func(ivd.Extent) bool) { return slices.Values(e) }

// readAll reads ranges by pieces, and fails where they are not in order without gaps.
func readAll(ctx context.Context, im *image.Image, list ...ivd.Extent) ([]byte, error) {
	var all []byte
	at := 0
	done := int64(0) // of list[at]
	for p, err := range im.Pieces(ctx, ranges(list...)) {
		if err != nil {
			return all, err
		}
		for at < len(list) && done == list[at].Length {
			at, done = at+1, 0
		}
		if at == len(list) || p.Offset != list[at].Offset+done || p.Length == 0 {
			return all, ivd.Errorf(ivd.Permanent, "a piece of %d bytes at %d, out of order", p.Length, p.Offset)
		}
		done += p.Length
		if p.Data == nil {
			all = append(all, make([]byte, p.Length)...)
		} else {
			all = append(all, p.Data...)
		}
		if p.Data != nil && int64(len(p.Data)) != p.Length {
			return all, ivd.Errorf(ivd.Permanent, "a piece of %d bytes has %d", p.Length, len(p.Data))
		}
		p.Release()
		p.Release() // once more does no harm
	}
	return all, nil
}

// content is what a disk holds in ranges.
func content(t testing.TB, d *repotest.Disk, list ...ivd.Extent) []byte {
	t.Helper()
	var all []byte
	for _, e := range list {
		b := make([]byte, e.Length)
		if _, err := d.ReadAt(b, e.Offset); err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

func wantKind(t testing.TB, err error, want ivd.Kind, words ...string) {
	t.Helper()
	if err == nil || ivd.KindOf(err) != want {
		t.Fatalf("error of kind %q, want %q: %v", ivd.KindOf(err), want, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Fatalf("the error does not say %q: %v", w, err)
		}
	}
}
