package worker

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"ivdmover/mover/pipeline"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// statusMiB reads a figure of /proc/self/status.
func statusMiB(t *testing.T, key string) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), key+":")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return kib >> 10
}

// A disk of 2 TiB that is nearly empty costs what is in it, and no more memory
// than any other.
func TestLargeSparseDisk(t *testing.T) {
	const size = 2 << 40
	b := newBench(t)
	path := filepath.Join(t.TempDir(), "large.raw")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	block := make([]byte, 1<<20)
	content := rand.NewChaCha8([32]byte{1})
	for i := range 200 { // far from each other, and some together
		_, _ = content.Read(block)
		off := int64(i) << 20
		if i%2 == 0 {
			off = rnd.Int64N(size>>20) << 20
		}
		if _, err := f.WriteAt(block, off); err != nil {
			t.Fatal(err)
		}
	}
	b.files.paths[diskID] = path

	const budget, dedup = 64, 1
	debug.FreeOSMemory() // of the tests before
	before := statusMiB(t, "VmRSS")
	old := debug.SetMemoryLimit((before + budget + dedup) << 20)
	defer debug.SetMemoryLimit(old)
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	m := b.startWith("mover-1", 1, pipeline.Limits{}, budget<<20)
	j := b.job(diskID, size)
	j.Geometry.ChunkSize = ivd.DefaultChunkSize
	j.Backup.Pages = nil
	for p := range j.Geometry.Pages() {
		j.Backup.Pages = append(j.Backup.Pages, p)
	}
	b.publish(j)
	rec := b.wait(j, state(job.Done))
	if rec.Stats.DiskBytes != size || rec.Stats.ReadBytes < 190<<20 || rec.Stats.ReadBytes > 400<<20 {
		t.Errorf("stats %+v", rec.Stats)
	}
	to := b.restoreJob(b.commit(j, rec), id(2), size)
	b.publish(to)
	b.wait(to, state(job.Done))
	peak := statusMiB(t, "VmHWM") - before
	t.Logf("%d MiB beyond %d MiB; the budget's peak was %d MiB of %d; %d packs", peak, before, m.memory.Peak()>>20, budget, rec.Stats.Packs)
	if m.memory.Peak() > budget<<20 {
		t.Errorf("the budget's peak was %d bytes", m.memory.Peak())
	}
	// Go's own limit leaves out the buffers that VDDK reads into.
	if peak > 2*budget+dedup && !raceDetector {
		t.Errorf("the process took %d MiB", peak)
	}
}
