package pipeline

import (
	"math/rand/v2"
	"testing"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

const (
	cs        = ivd.MinChunkSize
	spanBytes = ivd.ChunksPerSpan * cs
)

func TestFirstBackupReadsAllocatedBlocksOnly(t *testing.T) {
	b := newBench(t, 64<<20)
	d := newMemoryDisk(12*spanBytes + 5*cs + 7*sector)
	rnd := rand.New(rand.NewPCG(1, 2))
	d.fill(rnd, 60)
	allocated := len(d.blocks)
	p, stats := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	if len(d.read) != allocated {
		t.Errorf("%d blocks were read of %d allocated", len(d.read), allocated)
	}
	for i, n := range d.read {
		if n != 1 {
			t.Errorf("block %d was read %d times", i, n)
		}
	}
	if stats.DiskBytes != d.capacity || stats.ReadBytes == 0 || stats.ReadBytes != stats.ZeroBytes+stats.DedupBytes+stats.NewBytes {
		t.Errorf("stats %+v do not add up", stats)
	}
	if stats.DedupBytes == 0 || stats.ZeroBytes == 0 || stats.CompressedBytes >= stats.NewBytes || stats.StoredBytes <= stats.CompressedBytes {
		t.Errorf("stats %+v: something was not seen", stats)
	}
	if got := b.restore(p); got.WrittenBytes >= stats.ReadBytes {
		t.Errorf("%d bytes were written of %d read, zeros among them", got.WrittenBytes, stats.ReadBytes)
	}
}

func TestEmptyDiskCostsNothing(t *testing.T) {
	b := newBench(t, 64<<20)
	d := newMemoryDisk(2 << 40)
	p, stats := b.backup(d, 256<<10, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	if len(p.Pages) != 0 || stats.StoredBytes != 0 || stats.ReadBytes != 0 || stats.DiskBytes != 2<<40 {
		t.Fatalf("pages %v, stats %+v", p.Pages, stats)
	}
	b.restore(p)
}

func TestLightIncrementIsTwoPacks(t *testing.T) {
	b := newBench(t, 64<<20)
	d := newMemoryDisk(80*spanBytes + sector)
	rnd := rand.New(rand.NewPCG(3, 4))
	d.fill(rnd, 100)
	parent, _ := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	d.read = map[int64]int{}
	g := ivd.Geometry{Capacity: d.capacity, ChunkSize: cs}
	areas := d.fill(rnd, 4)
	work := marked(g, areas)
	want := 0
	for _, w := range work {
		want += w.Read.Count()
	}
	p, stats := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadParent, Parent: parent.parent(), Spans: work})
	if stats.Packs != 2 || len(d.read) != want {
		t.Errorf("%d packs, %d blocks read, want 2 and %d", stats.Packs, len(d.read), want)
	}
	b.restore(p)
	b.restore(parent)

	// What did not change costs nothing, and is the parent's page by reference.
	same, stats := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadParent, Parent: p.parent()})
	if stats.Packs != 0 || len(same.Pages) != 1 || same.Pages[0] != p.Pages[0] {
		t.Errorf("an unchanged disk: %+v, pages %v, the parent's %v", stats, same.Pages, p.Pages)
	}
	// Read again as a whole, it is found to be the same.
	full, stats := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadZero, Allocated: true, Parent: p.parent()})
	if stats.Packs != 0 || full.Pages[0] != p.Pages[0] || stats.NewBytes != 0 || stats.DedupBytes == 0 {
		t.Errorf("a full read of an unchanged disk: %+v", stats)
	}
}

func TestDiskThatHasGrown(t *testing.T) {
	b := newBench(t, 64<<20)
	d := newMemoryDisk(spanBytes*3/2 + 3*sector)
	rnd := rand.New(rand.NewPCG(5, 6))
	d.fill(rnd, 40)
	parent, _ := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	old := d.capacity
	d.capacity = spanBytes * 4
	areas := append(d.fill(rnd, 10), ivd.Extent{Offset: old - old%cs, Length: d.capacity - old + old%cs})
	g := ivd.Geometry{Capacity: d.capacity, ChunkSize: cs}
	p, _ := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadParent, Parent: parent.parent(), Spans: marked(g, areas)})
	b.restore(p)
	b.restore(parent)
}

func TestRestoreOverOldContentWritesZeros(t *testing.T) {
	b := newBench(t, 96<<20)
	d := newMemoryDisk(spanBytes*12 + sector)
	rnd := rand.New(rand.NewPCG(7, 8))
	d.fill(rnd, 20)
	p, _ := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	target := newMemoryDisk(d.capacity)
	target.fill(rnd, 50)
	var rec job.Record
	if err := b.restoreAttempt(t.Context(), *b.restoreJob(p, false), &rec, target, nil); err != nil {
		t.Fatal(err)
	}
	if diff := differs(d, target); diff != "" {
		t.Fatal(diff)
	}
}
