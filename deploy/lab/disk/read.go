package disk

import (
	"fmt"
	"os"

	"ivdmover/shared/ivd"
)

// ReadAt fills p from offset off of a snapshot, or of the present content where
// the snapshot's id is empty. A range that is not all within the disk is refused
// with ErrRange.
func (d *Disk) ReadAt(snapshot string, p []byte, off int64) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if off < 0 || off > d.capacity-int64(len(p)) {
		return fmt.Errorf("read %d bytes at %d of %d: %w", len(p), off, d.capacity, ErrRange)
	}
	if snapshot == "" {
		return readZero(d.content, p, off)
	}
	i := d.meta.find(snapshot)
	if i < 0 {
		return unknownSnapshot(snapshot)
	}
	return readLayers(d.layers[i:], d.content, p, off)
}

func unknownSnapshot(id string) error {
	return ivd.Errorf(ivd.NotFound, "no snapshot %s", id)
}

// readLayers reads the content at the first of layers: of each block the copy in
// the oldest layer that has one, else the present content.
func readLayers(layers []*layer, content *os.File, p []byte, off int64) error {
	for len(p) > 0 {
		owner, end, err := ownerRun(layers, off/BlockSize, blocks(off+int64(len(p))))
		if err != nil {
			return err
		}
		n := min(int64(len(p)), end*BlockSize-off)
		if owner >= 0 {
			err = readZero(layers[owner].dat, p[:n], off)
		} else {
			err = readPresent(layers, content, p[:n], off)
		}
		if err != nil {
			return err
		}
		p, off = p[n:], off+n
	}
	return nil
}

// readPresent reads blocks that no layer had saved. A writer saves a block before
// it overwrites it: so where a layer has it by now, the saved copy is the one.
func readPresent(layers []*layer, content *os.File, p []byte, off int64) error {
	if err := readZero(content, p, off); err != nil {
		return err
	}
	for len(p) > 0 {
		owner, end, err := ownerRun(layers, off/BlockSize, blocks(off+int64(len(p))))
		if err != nil {
			return err
		}
		n := min(int64(len(p)), end*BlockSize-off)
		if owner >= 0 {
			if err := readZero(layers[owner].dat, p[:n], off); err != nil {
				return err
			}
		}
		p, off = p[n:], off+n
	}
	return nil
}

// ownerRun tells which layer holds block from, -1 for none, and up to which block
// before limit it is the same one.
func ownerRun(layers []*layer, from, limit int64) (owner int, end int64, err error) {
	first := from >> 3
	n := (limit-1)>>3 - first + 1
	owners := make([]int8, limit-from)
	for i := range owners {
		owners[i] = -1
	}
	buf := make([]byte, n)
	for i := len(layers) - 1; i >= 0; i-- {
		if err := readZero(layers[i].bits, buf, first); err != nil {
			return 0, 0, err
		}
		for b := from; b < limit; b++ {
			if buf[b>>3-first]&(1<<(b&7)) != 0 {
				owners[b-from] = int8(i)
			}
		}
	}
	end = from + 1
	for end < limit && owners[end-from] == owners[0] {
		end++
	}
	return int(owners[0]), end, nil
}
