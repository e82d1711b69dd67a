package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ivdmover/deploy/lab/owner"
	"ivdmover/deploy/stage"
)

// sparse makes a file of a size with random bytes at some places.
func sparse(size int64, at ...int64) func(string) error {
	return func(flat string) error {
		f, err := os.Create(flat)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.Truncate(size); err != nil {
			return err
		}
		for i, off := range at {
			b := make([]byte, min(300_032, size-off))
			r := rand.NewChaCha8([32]byte{byte(i), byte(size), byte(size >> 8)})
			_, _ = r.Read(b)
			if _, err := f.WriteAt(b, off); err != nil {
				return err
			}
		}
		return nil
	}
}

// Capacities that are no multiple of anything, the smallest and a very large one
// come back exactly, with zeros where vSphere rounds a new disk up.
func TestOddCapacitiesComeBackExactly(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStage(t)
	s.Config.Plain = true
	const mib = 1 << 20
	sizes := map[string]int64{
		"sector":   512,
		"kib64":    64<<10 + 512,
		"one-mib":  mib,
		"odd":      61*mib + 7*512,
		"span-end": 256*mib + 512,
		"2tib":     2<<40 + 3*512,
	}
	disks := map[string]owner.Disk{}
	for name, size := range sizes {
		places := []int64{0, size / 2 &^ 511, max(0, size-4096) &^ 511}
		if size > 1<<40 {
			places = append(places, 700<<30, 1<<40+17*512)
		}
		d, err := s.Register(ctx, "datastore2", name, sparse(size, places...))
		must(t, err)
		disks[name] = d
	}
	coordinator, movers := serve(t, s, "m1")
	r := backup(t, s, coordinator)
	for name, size := range sizes {
		if got := r.Disk(name).Stats.DiskBytes; got != size {
			t.Errorf("disk %s: %d bytes covered, want %d", name, got, size)
		}
	}
	for name := range sizes {
		flat, err := s.Flat(disks[name])
		must(t, err)
		restoreAndCompare(t, s, coordinator, r.Disk(name).Point, name+"-back", flat)
	}

	if peak := peakMemory(t, movers[0]); peak > 512<<20 {
		t.Errorf("the mover's peak is %d MiB with memory: 128MiB", peak>>20)
	} else {
		t.Logf("the mover's peak memory with a disk of 2 TiB: %d MiB", peak>>20)
	}
	nothingLeft(t, s)
}

// peakMemory is the highest resident size of a process and its children, in bytes.
func peakMemory(t *testing.T, p *stage.Process) int64 {
	t.Helper()
	var sum int64
	for _, pid := range append(children(t, p.PID()), p.PID()) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		must(t, err)
		for line := range strings.Lines(string(b)) {
			var kib int64
			if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
				sum += kib << 10
			}
		}
	}
	return sum
}

func children(t *testing.T, pid int) []int {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	must(t, err)
	var all []int
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has ended
		}
		for _, f := range strings.Fields(string(b)) {
			c, err := strconv.Atoi(f)
			must(t, err)
			all = append(all, c)
		}
	}
	return all
}
