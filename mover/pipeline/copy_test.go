package pipeline

import (
	"bytes"
	"context"
	"runtime"
	"testing"
	"unsafe"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// filled is a disk that fills the memory it is given with the same content each
// time, and notes which memory that was.
type filled struct {
	*memoryDisk
	content []byte
	into    []byte
}

func (f *filled) ReadAt(_ context.Context, buf []byte, _ int64) error {
	copy(buf, f.content)
	f.into = buf
	return nil
}

// within reports whether a lies in b's memory.
func within(a, b []byte) bool {
	from, at := uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(unsafe.Pointer(unsafe.SliceData(a)))
	return from <= at && at+uintptr(len(a)) <= from+uintptr(len(b))
}

// newPiece is a backup of one piece: half of it text, half of it noise.
func newPiece(b *bench) (r *backup, f *filled, one func() *piece) {
	const request = 2 << 20
	g := ivd.Geometry{Capacity: 64 << 20, ChunkSize: ivd.DefaultChunkSize}
	content := append(bytes.Repeat([]byte("a line of text\n\n"), request/32), noise(8, request/2)...)
	f = &filled{memoryDisk: newMemoryDisk(g.Capacity), content: content}
	l := b.lease(format.WriteLease)
	w := b.writer(l)
	r = newBackup(Backup{
		Job:    b.job(l, g, job.BackupSpec{Unread: job.UnreadZero}),
		Source: f, Repository: b.repo, Writer: w.Writer, Trust: w.trust, Index: w.index, Memory: b.memory, Meter: new(Meter), InFlight: 2, Request: request,
	})
	return r, f, func() *piece {
		slot, err := r.workspaces.Get(b.t.Context())
		if err != nil {
			b.t.Fatal(err)
		}
		p := &piece{from: 0, to: ivd.ChunkIndex(request / g.ChunkSize), slot: slot, looked: make(chan struct{}), done: make(chan struct{})}
		if err := r.process(b.t.Context(), &span{}, p); err != nil {
			b.t.Fatal(err)
		}
		return p
	}
}

// What a disk was read into is what is hashed, compressed and, where it does not
// shrink, put into the pack: nothing is copied in between, and nothing of the size of
// a chunk is allocated.
func TestNothingIsCopiedBetweenDiskAndPack(t *testing.T) {
	b := newBench(t, 64<<20)
	r, f, one := newPiece(b)
	if err := b.memory.Reserve(t.Context(), BackupMemory(r.job.Geometry, r.Request, format.PackSize)); err != nil {
		t.Fatal(err)
	}
	defer b.memory.Release(BackupMemory(r.job.Geometry, r.Request, format.PackSize))
	defer r.workspaces.Close()
	p := one()
	w := p.slot.Value
	if len(f.into) != len(f.content) || !within(f.into, w.buf.Bytes()) {
		t.Fatal("the disk was read into other memory than the piece's")
	}
	for i, c := range p.chunks {
		from := f.into[i*c.plain : (i+1)*c.plain]
		switch {
		case c.id != format.Sum(from):
			t.Errorf("chunk %d is not what was read", i)
		case c.compression == format.CompressionNone && !within(c.stored, from):
			t.Errorf("chunk %d does not shrink, and was copied", i)
		case c.compression != format.CompressionNone && !within(c.stored, w.out[:cap(w.out)]):
			t.Errorf("chunk %d was compressed into other memory than the piece's", i)
		}
	}
	if n := len(p.chunks); p.chunks[0].compression == format.CompressionNone || p.chunks[n-1].compression != format.CompressionNone {
		t.Error("both kinds of chunk are to be there")
	}
	r.workspaces.Put(p.slot)
	var before, after runtime.MemStats
	const rounds = 20
	runtime.ReadMemStats(&before)
	for range rounds {
		r.workspaces.Put(one().slot)
	}
	runtime.ReadMemStats(&after)
	if each := int64(after.TotalAlloc-before.TotalAlloc) / rounds; each > r.job.Geometry.ChunkSize/8 {
		t.Errorf("%d bytes are allocated for a piece", each)
	}
}

// BenchmarkPiece is a piece on its way from the disk's buffer to what a pack takes.
func BenchmarkPiece(b *testing.B) {
	n := newBench(b, 64<<20)
	r, f, one := newPiece(n)
	defer r.workspaces.Close()
	b.SetBytes(int64(len(f.content)))
	b.ReportAllocs()
	for b.Loop() {
		r.workspaces.Put(one().slot)
	}
}
