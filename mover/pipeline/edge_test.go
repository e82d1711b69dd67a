package pipeline

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/dir"
)

func (d *memoryDisk) put(t *testing.T, off int64, buf []byte) ivd.Extent {
	t.Helper()
	if err := d.WriteAt(t.Context(), buf, off); err != nil {
		t.Fatal(err)
	}
	return ivd.Extent{Offset: off, Length: int64(len(buf))}
}

func noise(seed uint64, n int) []byte {
	rnd := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n+7)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], rnd.Uint64())
	}
	return b[:n:n]
}

// A span that had content and is zeros now is not the parent's any more, however
// that is found out, and wherever the job is gone on with.
func TestSpanThatBecameZeros(t *testing.T) {
	const size = 4 * spanBytes
	for _, c := range []struct {
		name string
		spec func(g ivd.Geometry, areas []ivd.Extent) job.BackupSpec
	}{
		{"changed areas", func(g ivd.Geometry, areas []ivd.Extent) job.BackupSpec {
			return job.BackupSpec{Unread: job.UnreadParent, Spans: marked(g, areas)}
		}},
		{"areas in use", func(ivd.Geometry, []ivd.Extent) job.BackupSpec {
			return job.BackupSpec{Unread: job.UnreadZero}
		}},
	} {
		for _, stops := range []bool{false, true} {
			b := newBench(t, 64<<20)
			d := newMemoryDisk(size)
			content := noise(1, 3*cs)
			area := d.put(t, spanBytes, content)
			parent, _ := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
			d.put(t, spanBytes, make([]byte, len(content)))
			g := ivd.Geometry{Capacity: size, ChunkSize: cs}
			spec := c.spec(g, []ivd.Extent{area})
			spec.Parent = parent.parent()
			l := b.lease(repo.WriteLease)
			j := b.job(l, g, spec)
			rec := b.record(j)
			for stops && rec.Next < 3 {
				stop := make(chan struct{})
				close(stop)
				if err := b.attempt(t.Context(), b.writer(l), j, &rec, d, stop); !expected(err) {
					t.Fatal(err)
				}
			}
			if err := b.attempt(t.Context(), b.writer(l), j, &rec, d, nil); err != nil {
				t.Fatal(err)
			}
			p := b.commit(l, j, &rec, d)
			if len(p.Pages) != 0 {
				t.Errorf("%s: a disk of zeros has pages %v", c.name, p.Pages)
			}
			b.restore(p)
			b.restore(parent)
		}
	}
}

// What a grown disk has beyond its parent's end is read, even where nobody asked
// for it: the parent cannot say what it is.
func TestGrownPartIsReadUnasked(t *testing.T) {
	b := newBench(t, 64<<20)
	d := newMemoryDisk(100*cs + 3*sector)
	d.put(t, 0, noise(2, 3*cs))
	d.put(t, 100*cs, noise(3, 3*sector))
	parent, _ := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	d.capacity = 200 * cs
	d.put(t, 100*cs+3*sector, noise(4, 20*cs))
	p, _ := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadParent, Parent: parent.parent()})
	b.restore(p)
}

// Chunks of one content, one after another, are one frame.
func TestRepeatedChunksShareAFrame(t *testing.T) {
	b := newBench(t, 64<<20)
	d := newMemoryDisk(64 * cs)
	d.put(t, 0, noise(5, 2*cs))
	d.put(t, 2*cs, bytes.Repeat(noise(6, cs), 9))
	d.put(t, 11*cs, noise(7, 3*cs))
	p, stats := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	if stats.NewBytes != 6*cs || stats.DedupBytes != 8*cs {
		t.Errorf("stats %+v", stats)
	}
	b.restore(p)
}

// A chunk that was left to one before it, which by its turn is stored and forgotten
// again, is stored once more.
func TestForgottenChunkIsStoredAgain(t *testing.T) {
	b := newBench(t, 64<<20)
	b.limits = Limits{Bytes: 1}
	d := newMemoryDisk(3 * spanBytes)
	same := noise(8, cs)
	for _, i := range []int64{1, 250, 255, 256, 257, 262, 511, 512, 524} {
		d.put(t, i*cs, same)
	}
	l := b.lease(repo.WriteLease)
	w := b.writerWith(l, 0)
	j := b.job(l, ivd.Geometry{Capacity: d.capacity, ChunkSize: cs}, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	rec := b.record(j)
	if err := b.attempt(t.Context(), w, j, &rec, d, nil); err != nil {
		t.Fatal(err)
	}
	if rec.Stats.NewBytes != 3*cs {
		t.Errorf("%d bytes are new, want a chunk for each batch", rec.Stats.NewBytes)
	}
	b.restore(b.commit(l, j, &rec, d))
}

// The same, where the order of things is certain.
func TestChunkWithoutItsCompressedForm(t *testing.T) {
	b := newBench(t, 64<<20)
	l := b.lease(repo.WriteLease)
	g := ivd.Geometry{Capacity: spanBytes, ChunkSize: cs}
	w := b.writer(l)
	r := newBackup(Backup{
		Job: b.job(l, g, job.BackupSpec{Unread: job.UnreadZero}), Repository: b.repo, Writer: w.Writer, Trust: w.trust, Index: w.index, Memory: b.memory, Meter: new(Meter),
	})
	if err := b.memory.Reserve(t.Context(), BackupMemory(g, 0, format.PackSize)); err != nil {
		t.Fatal(err)
	}
	defer b.memory.Release(BackupMemory(g, 0, format.PackSize))
	defer r.workspaces.Close()
	defer r.packs.Close()
	slot, err := r.workspaces.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	content := noise(9, 2*cs)
	copy(slot.Value.buf.Bytes(), content)
	want := content[cs:]
	p := &piece{from: 7, to: 9, slot: slot, chunks: make([]chunk, 2)}
	p.chunks[1] = chunk{id: format.Sum(want), plain: cs}
	e, err := r.place(t.Context(), &span{}, p, 1, new(ivd.Stats))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := r.filling.slot.Value.Finish()
	got, err := new(format.Opener).Frame(nil, body[e.offset:e.offset+e.length], e.id)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("what was stored is something else: %v", err)
	}
}

// A chunk that is known to lie in another writer's pack is named with that writer
// and that pack's nonce, from which the pack's key is made.
func TestRememberedChunkNamesWhoWroteIt(t *testing.T) {
	b := newBench(t, 64<<20)
	l := b.lease(repo.WriteLease)
	other, w := b.writer(l), b.writer(l)
	content := noise(10, cs)
	pack := other.NewPack(format.DataPack)
	offset, length := pack.Add(format.ChunkFrame, format.Sum(content), cs, format.CompressionNone, content)
	ref, _, _, err := other.PutPack(t.Context(), pack)
	if err != nil {
		t.Fatal(err)
	}
	w.index.Add(format.Sum(content), ivd.Place{PackRef: ref, Offset: offset, Length: length})

	d := newMemoryDisk(4 * cs)
	d.put(t, cs, content)
	j := b.job(l, ivd.Geometry{Capacity: d.capacity, ChunkSize: cs}, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	rec := b.record(j)
	if err := b.attempt(t.Context(), w, j, &rec, d, nil); err != nil {
		t.Fatal(err)
	}
	p := b.commit(l, j, &rec, d)
	b.restore(p)
	page, err := b.repo.Page(t.Context(), p.Pages[0], p.Geometry)
	if err != nil {
		t.Fatal(err)
	}
	node, err := b.repo.SpanNode(t.Context(), page, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := node.Chunks[1].Place.PackRef; got != ref {
		t.Errorf("the chunk lies in %+v, want %+v", got, ref)
	}
	// Every pack that is named is named as its own header says.
	packs := append([]ivd.PackRef{p.Pages[0].Place.PackRef}, page.Packs...)
	for _, ref := range packs {
		kind := format.IndexPack
		if node.Packs.Has(ref) {
			kind = format.DataPack
		}
		head := make([]byte, format.PackHeaderSize)
		if err := b.store.ReadAt(t.Context(), b.repo.PackName(kind, ref.Pack), head, 0); err != nil {
			t.Fatal(err)
		}
		if h, err := format.ReadPackHeader(head); err != nil || h.Writer != ref.Writer || h.Nonce != ref.Nonce || h.Domain != b.repo.Domain() {
			t.Errorf("pack %+v says that it is %+v: %v", ref, h, err)
		}
	}
}

// Packs become as large as the repository says, and no larger.
func TestPackSizeIsTheRepositorys(t *testing.T) {
	b := newBench(t, 128<<20)
	st, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const size = 20 << 20
	if b.repo, err = repo.Init(t.Context(), st, repo.InitOptions{PackSize: size}); err != nil {
		t.Fatal(err)
	}
	b.store = st
	d := newMemoryDisk(25 << 20)
	d.put(t, 0, noise(11, 25<<20))
	p, _ := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	b.restore(p)
	var packs []int64
	for info, err := range st.List(t.Context(), "data/") {
		if err != nil {
			t.Fatal(err)
		}
		packs = append(packs, info.Size)
	}
	const directory = 1 << 15 // and trailer: packs are finished before they are added
	if len(packs) != 2 || max(packs[0], packs[1]) > size+directory || max(packs[0], packs[1]) < size-2*cs {
		t.Errorf("packs of %d bytes, want one of %d and one with the rest", packs, size)
	}
}
