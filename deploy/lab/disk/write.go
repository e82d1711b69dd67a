package disk

import (
	"fmt"
)

// maxPiece bounds what is copied at once.
const maxPiece = 1 << 20

// WriteAt writes p at offset off of the present content, as a guest does: the
// newest snapshot keeps what is overwritten, and the blocks are marked as
// changed. A range that is not all within the disk is refused with ErrRange.
func (d *Disk) WriteAt(p []byte, off int64) error {
	return d.exclusive(func() error {
		if off < 0 || off > d.capacity-int64(len(p)) {
			return fmt.Errorf("write %d bytes at %d of %d: %w", len(p), off, d.capacity, ErrRange)
		}
		for len(p) > 0 {
			n := min(len(p), maxPiece)
			if err := d.put(p[:n], off); err != nil {
				return err
			}
			p, off = p[n:], off+int64(n)
		}
		return nil
	})
}

// put overwrites: saved first, marked next, then written. The caller is the
// disk's only writer.
func (d *Disk) put(p []byte, off int64) error {
	from, to := off/BlockSize, blocks(off+int64(len(p)))
	if len(d.layers) > 0 {
		if err := d.preserve(d.layers[len(d.layers)-1], from, to); err != nil {
			return fmt.Errorf("save blocks for the snapshot: %w", err)
		}
	}
	if d.changes != nil {
		if err := setBits(d.changes, from, to); err != nil {
			return fmt.Errorf("mark blocks as changed: %w", err)
		}
	}
	_, err := d.content.WriteAt(p, off)
	return err
}

// preserve saves the blocks [from, to) into the newest layer, those that it has
// already excepted.
func (d *Disk) preserve(newest *layer, from, to int64) error {
	for from < to {
		owner, end, err := ownerRun([]*layer{newest}, from, to)
		if err != nil {
			return err
		}
		if owner < 0 {
			if err := d.saveRun(newest, from, end); err != nil {
				return err
			}
		}
		from = end
	}
	return nil
}

func (d *Disk) saveRun(newest *layer, from, to int64) error {
	start := from * BlockSize
	buf := make([]byte, min(to*BlockSize, d.capacity)-start)
	if err := readZero(d.content, buf, start); err != nil {
		return err
	}
	return newest.save(from, buf)
}
