package pipeline

import (
	"math/rand/v2"
	"testing"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// benchDisk has a quarter of noise, a quarter of text, half of it zeros.
func benchDisk(size int64) *memoryDisk {
	d := newMemoryDisk(size)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range size / ivd.MinChunkSize / 2 {
		b := make([]byte, ivd.MinChunkSize)
		for j := range b {
			if i%2 == 0 {
				b[j] = byte(rnd.Uint32())
			} else {
				b[j] = "some words of a text that compresses "[rnd.IntN(6)*6]
			}
		}
		d.blocks[2*i] = b
	}
	return d
}

func BenchmarkBackup(b *testing.B) {
	const size = 256 << 20
	d := benchDisk(size)
	n := newBench(b, 256<<20)
	b.SetBytes(size)
	for b.Loop() {
		l := n.lease(repo.WriteLease)
		j := n.job(l, ivd.Geometry{Capacity: size, ChunkSize: ivd.DefaultChunkSize}, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
		rec := n.record(j)
		if err := n.attempt(b.Context(), n.writer(l), j, &rec, d, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRestore(b *testing.B) {
	const size = 256 << 20
	d := benchDisk(size)
	n := newBench(b, 256<<20)
	p, _ := n.backup(d, ivd.DefaultChunkSize, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	b.SetBytes(size)
	for b.Loop() {
		var rec job.Record
		if err := n.restoreAttempt(b.Context(), *n.restoreJob(p, true), &rec, newMemoryDisk(size), nil); err != nil {
			b.Fatal(err)
		}
	}
}
