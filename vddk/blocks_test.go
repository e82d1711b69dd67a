package vddk_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"ivdmover/vddk"
)

// Whatever the chunk, what is not told as allocated is zero, and the blocks are in
// order, aligned, apart, and within the disk.
func TestAllocatedCoversContent(t *testing.T) {
	for _, size := range []int64{65536, 512, 8 << 20, 8<<20 + 65536 + 512} {
		path, content := sparse(t, size, 5)
		p := startPort(t, bytes.Clone(content[:size/65536*65536]))
		handles := map[string]*vddk.Handle{"file": openFile(t, path, vddk.ReadOnly)}
		if size >= 65536 {
			handles["nbdssl"] = openDisk(t, p.params(), "6f9e", vddk.ReadOnly, "nbdssl")
		}
		for name, h := range handles {
			for _, chunk := range []uint64{128, 512, 1024} {
				checkAllocated(t, name, h, content, chunk)
			}
		}
	}
}

func checkAllocated(t *testing.T, name string, h *vddk.Handle, content []byte, chunk uint64) {
	t.Helper()
	capacity := h.Info().Capacity
	if name == "nbdssl" && capacity%chunk != 0 {
		return // the test's host knows whole chunks only
	}
	blocks, err := h.QueryAllocated(0, capacity, chunk)
	if err != nil {
		t.Fatalf("%s, chunk %d: %v", name, chunk, err)
	}
	at := uint64(0)
	for i, b := range blocks {
		end := b.Offset + b.Length
		if b.Offset%chunk != 0 || (end%chunk != 0 && end != capacity) || end > capacity || b.Length == 0 || (i > 0 && b.Offset <= at) {
			t.Fatalf("%s, chunk %d: block %+v after %d", name, chunk, b, at)
		}
		if bytes.Trim(content[at*512:b.Offset*512], "\x00") != nil {
			t.Fatalf("%s, chunk %d: content between %d and %d is left out", name, chunk, at, b.Offset)
		}
		at = end
	}
	if rest := bytes.Trim(content[at*512:capacity*512], "\x00"); len(rest) > 0 {
		t.Fatalf("%s, chunk %d: content after %d is left out", name, chunk, at)
	}
}

// A disk of 3 TiB takes several calls, and its holes are not told.
func TestAllocatedOfLargeDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large.raw")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 3<<40 + 512
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	var want []vddk.Block
	for _, at := range []int64{32<<30 - 65536, 2 << 40} {
		if _, err := f.WriteAt(make([]byte, 131072), at); err != nil {
			t.Fatal(err)
		}
		want = append(want, vddk.Block{Offset: uint64(at) / 512, Length: 256})
	}
	want = append(want, vddk.Block{Offset: 3 << 31, Length: 1}) // the tail that cannot be asked for
	h := openFile(t, path, vddk.ReadOnly)
	got, err := h.QueryAllocated(0, h.Info().Capacity, vddk.MinChunk)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAllocatedRefuses(t *testing.T) {
	path, _ := sparse(t, 1<<20, 5)
	h := openFile(t, path, vddk.ReadOnly)
	for _, q := range [][3]uint64{{0, 2048, 64}, {64, 128, 128}, {0, 4096, 128}, {4096, 128, 128}, {0, 128, 0}} {
		_, err := h.QueryAllocated(q[0], q[1], q[2])
		wantCode(t, err, 3, vddk.Misuse)
	}
	if blocks, err := h.QueryAllocated(128, 0, 128); err != nil || len(blocks) != 0 {
		t.Errorf("nothing was asked for: %v, %v", blocks, err)
	}
}
