package image_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/shared/budget"
	"ivdmover/shared/format"
	"ivdmover/shared/image"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store"
	"ivdmover/shared/store/faults"
)

// full is a disk of noise with a hole, in packs of many chunks.
func full(t testing.TB, chunks int64) (*repotest.Repository, repotest.Point) {
	t.Helper()
	r := repotest.New(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: chunks * cs, ChunkSize: cs})
	b := make([]byte, chunks*cs)
	repotest.Noise(rand.New(rand.NewPCG(8, 9)), b)
	clear(b[5*cs : 9*cs])
	if _, err := d.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return r, r.Save(d, repotest.Layout{ChunksPerPack: 100})
}

// Damage is told as what it is and where, and nothing of it is handed out; what lies
// before it is.
func TestDamageIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		harm  func(*repotest.Repository, repotest.Point) store.Name // names the object
		kind  ivd.Kind
		whole int64 // bytes that can be read before it
	}{
		"a chunk": {func(r *repotest.Repository, p repotest.Point) store.Name {
			at := r.Place(p.Disk, 40)
			r.Damage(format.DataPack, at.Pack, at.Offset+at.Length/2)
			return r.PackName(format.DataPack, at.Pack)
		}, ivd.Corrupt, 32 * cs},
		"a data pack that is gone": {func(r *repotest.Repository, p repotest.Point) store.Name {
			at := r.Place(p.Disk, 120)
			r.Delete(format.DataPack, at.Pack)
			return r.PackName(format.DataPack, at.Pack)
		}, ivd.NotFound, 96 * cs},
		"a node": {func(r *repotest.Repository, p repotest.Point) store.Name {
			at := p.Nodes[0].Place
			r.Damage(format.IndexPack, at.Pack, at.Offset+at.Length/2)
			return r.PackName(format.IndexPack, at.Pack)
		}, ivd.Corrupt, 0},
		"a page": {func(r *repotest.Repository, p repotest.Point) store.Name {
			at := p.Pages[0].Place
			r.Damage(format.IndexPack, at.Pack, at.Offset+at.Length/2)
			return r.PackName(format.IndexPack, at.Pack)
		}, ivd.Corrupt, 0},
		"an index pack that is gone": {func(r *repotest.Repository, p repotest.Point) store.Name {
			r.Delete(format.IndexPack, p.Nodes[0].Place.Pack)
			return r.PackName(format.IndexPack, p.Nodes[0].Place.Pack)
		}, ivd.NotFound, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r, p := full(t, 200)
			im := open(t, r, p)
			object := string(c.harm(r, p))
			got, err := readAll(t.Context(), im, im.Whole())
			wantKind(t, err, c.kind, object)
			want := content(t, p.Disk, ivd.Extent{Length: int64(len(got))})
			if int64(len(got)) < c.whole || !bytes.Equal(got, want) {
				t.Errorf("%d bytes came before it, want %d at least, as they were", len(got), c.whole)
			}
			_, err = im.ReadAt(t.Context(), make([]byte, 200*cs), 0)
			wantKind(t, err, c.kind, object)
			_, err = im.ReadAt(t.Context(), make([]byte, 200*cs), 7)
			wantKind(t, err, c.kind, object)
		})
	}
}

// A node that names a pack which its page does not say it needs is damage: a collector
// goes by the page.
func TestPageThatNeedsLess(t *testing.T) {
	r := repotest.New(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: 10 * cs, ChunkSize: cs})
	d.Fill(rand.New(rand.NewPCG(1, 1)), 20, 3*cs)
	p := r.Save(d, repotest.Layout{ChunksPerPack: 2, Needs: func(_ ivd.SpanIndex, n *format.Node) []ivd.PackRef { return n.Packs[1:] }})
	im := open(t, r, p)
	_, err := readAll(t.Context(), im, im.Whole())
	wantKind(t, err, ivd.Corrupt, p.Nodes[0].Place.Pack.String())
	for _, err := range im.Extents(t.Context(), im.Whole()) {
		wantKind(t, err, ivd.Corrupt)
	}
}

// Whichever request fails, the reading fails with that error, and the next one is
// whole: what failed is not kept.
func TestEveryRequestMayFail(t *testing.T) {
	r, p := full(t, 60)
	im := open(t, r, p, func(o *image.Options) { o.Cache = 1 << 20 })
	want := content(t, p.Disk, im.Whole())
	for _, read := range []func() ([]byte, error){
		func() ([]byte, error) { return readAll(t.Context(), im, im.Whole()) },
		func() ([]byte, error) {
			b := make([]byte, len(want))
			_, err := im.ReadAt(t.Context(), b[:100], 0)
			if err == nil {
				_, err = im.ReadAt(t.Context(), b[100:], 100)
			}
			return b, err
		},
	} {
		before := r.Store.Calls(faults.ReadAt)
		if _, err := read(); err != nil {
			t.Fatal(err)
		}
		calls := r.Store.Calls(faults.ReadAt) - before
		for call := range calls {
			fresh := open(t, r, p)
			r.Store.Add(faults.Fault{On: faults.ReadAt, Prefix: "data/", Before: faults.ErrInjected, Call: min(call+1, 3)})
			if _, err := readAll(t.Context(), fresh, fresh.Whole()); !errors.Is(err, faults.ErrInjected) {
				t.Fatalf("read %d failed: %v", call+1, err)
			}
			got, err := readAll(t.Context(), fresh, fresh.Whole())
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("after read %d failed: %d bytes, %v", call+1, len(got), err)
			}
		}
	}
	r.Store.Add(faults.Fault{On: faults.ReadAt, Prefix: "index/", Before: faults.ErrInjected, Times: 2})
	fresh := open(t, r, p)
	for range 2 {
		_, err := readAll(t.Context(), fresh, fresh.Whole())
		wantKind(t, err, ivd.Transient)
	}
	if got, err := readAll(t.Context(), fresh, fresh.Whole()); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

// Neighbours are fetched together, in pieces of about 1 MiB: also over chunks of zeros,
// and chunks of one content once.
func TestNeighboursAreFetchedTogether(t *testing.T) {
	r := repotest.New(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: 64 * cs, ChunkSize: cs})
	put := func(chunk int64, b []byte) {
		if _, err := d.WriteAt(b, chunk*cs); err != nil {
			t.Fatal(err)
		}
	}
	noise := func(n int) []byte {
		b := make([]byte, n*cs)
		repotest.Noise(rand.New(rand.NewPCG(uint64(n), 2)), b)
		return b
	}
	put(0, noise(2))
	put(2, bytes.Repeat(noise(1), 9))
	put(13, noise(3)) // after a hole
	p := r.Save(d, repotest.Layout{})
	im := open(t, r, p)
	requests := func(read func()) int64 {
		var n atomic.Int64
		r.Store.Add(faults.Fault{On: faults.ReadAt, Prefix: "data/", Times: faults.Always, Do: func(store.Name) { n.Add(1) }})
		read()
		return n.Load()
	}
	if n := requests(func() {
		if got, err := readAll(t.Context(), im, im.Whole()); err != nil || !bytes.Equal(got, content(t, d, im.Whole())) {
			t.Error(err)
		}
	}); n != 1 {
		t.Errorf("%d requests for 14 chunks that lie together", n)
	}
	if n := requests(func() { _, _ = im.ReadAt(t.Context(), make([]byte, 64*cs), 0) }); n != 1 {
		t.Errorf("%d requests to read them at random", n)
	}
	cached := open(t, r, p, func(o *image.Options) { o.Cache = 4 * cs })
	if n := requests(func() {
		for off := int64(0); off < 2*cs; off += 4096 {
			if _, err := cached.ReadAt(t.Context(), make([]byte, 4096), off); err != nil {
				t.Error(err)
			}
		}
	}); n != 2 {
		t.Errorf("%d requests for two chunks that are read bit by bit", n)
	}
}

// What does not lie on the disk is refused, and so is a second reading in order.
func TestRefusedReadings(t *testing.T) {
	r, p := full(t, 20)
	im := open(t, r, p)
	for _, e := range []ivd.Extent{{Offset: -1, Length: 1}, {Offset: 0, Length: -1}, {Offset: 20 * cs, Length: 1}, {Offset: 1, Length: 20 * cs}, {Offset: 1 << 62, Length: 1 << 62}} {
		_, err := readAll(t.Context(), im, e)
		wantKind(t, err, ivd.Invalid)
		for _, err := range im.Extents(t.Context(), e) {
			wantKind(t, err, ivd.Invalid)
		}
	}
	_, err := im.ReadAt(t.Context(), make([]byte, 1), -1)
	wantKind(t, err, ivd.Invalid)
	for p, err := range im.Pieces(t.Context(), ranges(im.Whole())) {
		if err != nil {
			t.Fatal(err)
		}
		p.Release()
		_, err = readAll(t.Context(), im, im.Whole())
		wantKind(t, err, ivd.Invalid, "in order already")
		if _, err := im.ReadAt(t.Context(), make([]byte, cs), 3); err != nil { // at random it may
			t.Error(err)
		}
	}
	if _, err := readAll(t.Context(), im, im.Whole()); err != nil { // and afterwards
		t.Error(err)
	}
}

// Who breaks off, or whose context ends, leaves nothing behind: no memory, no
// goroutine, and an image that can be read again.
func TestBreakingOff(t *testing.T) {
	r, p := full(t, 300)
	m := memory(t, image.Options{}.Need(p.Geometry)) // not a byte more
	im := open(t, r, p, func(o *image.Options) { o.Memory = m })
	for after := range 12 {
		var held []*image.Piece
		for p, err := range im.Pieces(t.Context(), ranges(im.Whole())) {
			if err != nil {
				t.Fatal(err)
			}
			if held = append(held, p); len(held) > after%4 {
				break
			}
		}
		for _, p := range slices.Backward(held) {
			p.Release()
		}
	}
	why := errors.New("why")
	for n := range 6 {
		ctx, cancel := context.WithCancelCause(t.Context())
		seen := 0
		r.Store.Add(faults.Fault{On: faults.ReadAt, Prefix: "data/", Times: faults.Always, Delay: time.Millisecond})
		var last error
		for p, err := range im.Pieces(ctx, ranges(im.Whole())) {
			if last = err; err != nil {
				break
			}
			p.Release()
			if seen++; seen == n {
				cancel(why)
			}
		}
		cancel(why)
		if n > 0 && !errors.Is(last, why) {
			t.Errorf("ended by %v after %d pieces, want the cause", last, seen)
		}
		if _, err := im.ReadAt(ctx, make([]byte, cs), 0); !errors.Is(err, why) && !errors.Is(err, context.Canceled) {
			t.Errorf("read after the end: %v", err)
		}
	}
	if got, err := readAll(t.Context(), im, im.Whole()); err != nil || !bytes.Equal(got, content(t, p.Disk, im.Whole())) {
		t.Errorf("%d bytes: %v", len(got), err)
	}
}

// However slow the taker is, what is read ahead stays within the budget; and images
// that were opened before go on beside each other, however much of it one has taken.
func TestReadingAheadStaysWithinTheBudget(t *testing.T) {
	r, p := full(t, 600)
	need := image.Options{}.Need(p.Geometry)
	m := memory(t, 2*need+3<<20)
	use := func(o *image.Options) { o.Memory = m }
	slow, other := open(t, r, p, use), open(t, r, p, use)
	pieces := 0
	for piece, err := range slow.Pieces(t.Context(), ranges(slow.Whole())) {
		if err != nil {
			t.Fatal(err)
		}
		if pieces%10 == 0 { // while it is not taken from
			if _, err := readAll(t.Context(), other, ivd.Extent{Offset: 9 * cs, Length: 200 * cs}); err != nil {
				t.Fatal(err)
			}
		}
		piece.Release()
		pieces++
	}
	if pieces < 30 {
		t.Errorf("%d pieces", pieces)
	}
	if m.Peak() > m.Total() || m.Peak() <= 2*need {
		t.Errorf("the peak was %d of %d", m.Peak(), m.Total())
	}
}

// An image that cannot have its memory waits for it, and ends with its context.
func TestOpenWaitsForMemory(t *testing.T) {
	r, p := full(t, 20)
	need := image.Options{}.Need(p.Geometry)
	m := memory(t, need)
	first, err := image.Open(t.Context(), r.Repository, image.Options{Point: p.ID, Memory: m})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	r.Store.Add(faults.Fault{On: faults.Get, Prefix: "points/", Do: func(store.Name) { cancel(why) }})
	_, err = image.Open(ctx, r.Repository, image.Options{Point: p.ID, Memory: m})
	if !errors.Is(err, why) && !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	first.Close(t.Context())
	if err := m.Reserve(t.Context(), need); err != nil {
		t.Fatal(err)
	}
	m.Release(need)
	_, err = image.Open(t.Context(), r.Repository, image.Options{Point: p.ID, Memory: budget.NewMemory(need-1, nil)})
	if !errors.Is(err, budget.ErrTooLittle) || !strings.Contains(err.Error(), string(p.ID)) {
		t.Errorf("%v", err)
	}
}
