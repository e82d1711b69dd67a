package repotest

import (
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"

	"ivdmover/shared/ivd"
)

// Disk is a disk in memory. What was never written is zeros.
type Disk struct {
	ivd.Geometry
	chunks map[ivd.ChunkIndex][]byte // as long as the disk has of them
}

// NewDisk makes a disk of zeros.
func NewDisk(g ivd.Geometry) *Disk { return &Disk{g, map[ivd.ChunkIndex][]byte{}} }

// Clone makes a copy.
func (d *Disk) Clone() *Disk {
	c := &Disk{d.Geometry, maps.Clone(d.chunks)}
	for i, b := range c.chunks {
		c.chunks[i] = append([]byte(nil), b...)
	}
	return c
}

// Stored are the chunks that were written, in no order.
func (d *Disk) Stored() iter.Seq[ivd.ChunkIndex] { return maps.Keys(d.chunks) }

// WriteAt is io.WriterAt's.
func (d *Disk) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > d.Capacity {
		return 0, fmt.Errorf("%d bytes at %d of a disk of %d", len(p), off, d.Capacity)
	}
	for n := 0; n < len(p); {
		i := ivd.ChunkIndex((off + int64(n)) / d.ChunkSize)
		e := d.Chunk(i)
		b := d.chunks[i]
		if b == nil {
			b = make([]byte, e.Length)
			d.chunks[i] = b
		}
		n += copy(b[off+int64(n)-e.Offset:], p[n:])
	}
	return len(p), nil
}

// ReadAt is io.ReaderAt's.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	want := len(p)
	p = p[:max(0, min(int64(want), d.Capacity-off))]
	for n := 0; n < len(p); {
		i := ivd.ChunkIndex((off + int64(n)) / d.ChunkSize)
		e := d.Chunk(i)
		from := off + int64(n) - e.Offset
		m := min(len(p)-n, int(e.Length-from))
		if b := d.chunks[i]; b != nil {
			copy(p[n:n+m], b[from:])
		} else {
			clear(p[n : n+m])
		}
		n += m
	}
	if len(p) < want {
		return len(p), io.EOF
	}
	return len(p), nil
}

// Fill writes noise, about half of which compresses, at the same places for the
// same rnd.
func (d *Disk) Fill(rnd *rand.Rand, writes int, size int64) {
	for range writes {
		b := make([]byte, min(1+rnd.Int64N(size), d.Capacity))
		Noise(rnd, b[:len(b)/2])
		if _, err := d.WriteAt(b, rnd.Int64N(d.Capacity-int64(len(b))+1)); err != nil {
			panic(err) // it is within the disk
		}
	}
}

// Noise fills b with what does not compress.
func Noise(rnd *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
}
