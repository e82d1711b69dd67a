package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"ivdmover/shared/ivd"
)

// Snapshots lists the disk's snapshots, the oldest first.
func (d *Disk) Snapshots() []Snapshot {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Clone(d.meta.snapshots)
}

// Snapshot makes the present content a snapshot, in constant time. The id is new
// and names files.
func (d *Disk) Snapshot(id string) error {
	if !idPattern.MatchString(id) {
		return ivd.Errorf(ivd.Invalid, "snapshot id %q", id)
	}
	return d.exclusive(func() error {
		m := d.meta
		if m.find(id) >= 0 {
			return ivd.Errorf(ivd.Exists, "snapshot %s exists", id)
		}
		if err := makeLayer(d.file, id); err != nil {
			return fmt.Errorf("make snapshot: %w", err)
		}
		series := none
		if m.cbt {
			series = m.series
		}
		m.snapshots = append(slices.Clone(m.snapshots), Snapshot{ID: id, Epoch: m.epoch, series: series})
		m.epoch++
		return d.commit(m)
	})
}

// DeleteSnapshot removes a snapshot; all others stay as they are. A call that was
// cancelled or killed is simply repeated.
func (d *Disk) DeleteSnapshot(ctx context.Context, id string) error {
	return d.exclusive(func() error {
		i := d.meta.find(id)
		if i < 0 {
			return unknownSnapshot(id)
		}
		if i > 0 {
			if err := d.move(ctx, d.layers[i], d.layers[i-1]); err != nil {
				return fmt.Errorf("move the snapshot's blocks to the older one: %w", err)
			}
		}
		m := d.meta
		m.snapshots = slices.Delete(slices.Clone(m.snapshots), i, i+1)
		if err := d.commit(m); err != nil {
			return err
		}
		return removeLayer(d.file, id)
	})
}

// move gives the older layer all blocks that it needs of the newer one.
func (d *Disk) move(ctx context.Context, newer, older *layer) error {
	in := scanner{f: newer.bits}
	have := scanner{f: older.bits}
	count := blocks(d.capacity)
	buf := make([]byte, BlockSize)
	for b := in.next(0, count); b < count; b = in.next(b+1, count) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if have.has(b) {
			continue
		}
		p := buf[:min(BlockSize, d.capacity-b*BlockSize)]
		if err := readZero(newer.dat, p, b*BlockSize); err != nil {
			return err
		}
		if err := older.save(b, p); err != nil {
			return err
		}
	}
	return errors.Join(in.err, have.err)
}

// Revert makes the content of a snapshot the present content, and removes all
// later snapshots. When it is cut short, the next Open finishes it.
func (d *Disk) Revert(id string) error {
	return d.exclusive(func() error {
		m := d.meta
		if m.find(id) < 0 {
			return unknownSnapshot(id)
		}
		m.revert = id
		if err := d.commit(m); err != nil {
			return err
		}
		return d.finishRevert()
	})
}

// finishRevert writes the blocks back as a guest would: until the end, later
// snapshots stay whole, and tracking sees the blocks as changed.
func (d *Disk) finishRevert() error {
	i := d.meta.find(d.meta.revert)
	if i < 0 {
		return unknownSnapshot(d.meta.revert)
	}
	layers := d.layers[i:]
	count := blocks(d.capacity)
	buf := make([]byte, BlockSize)
	for b := nextSaved(layers, 0, count); b < count; b = nextSaved(layers, b+1, count) {
		p := buf[:min(BlockSize, d.capacity-b*BlockSize)]
		if err := readLayers(layers, d.content, p, b*BlockSize); err != nil {
			return err
		}
		if err := d.put(p, b*BlockSize); err != nil {
			return err
		}
	}
	m := d.meta
	m.revert, m.snapshots = "", slices.Clone(m.snapshots[:i+1])
	if err := d.commit(m); err != nil {
		return err
	}
	return d.sweep()
}

func nextSaved(layers []*layer, from, limit int64) int64 {
	next := limit
	for _, l := range layers {
		s := scanner{f: l.bits}
		next = min(next, s.next(from, limit))
	}
	return next
}

// Extend gives the disk a larger capacity. Kind Conflict while it has a snapshot.
func (d *Disk) Extend(capacity int64) error {
	if err := checkCapacity(capacity); err != nil {
		return err
	}
	return d.exclusive(func() error {
		switch {
		case len(d.layers) > 0:
			return ivd.Errorf(ivd.Conflict, "the disk has a snapshot")
		case capacity < d.capacity:
			return ivd.Errorf(ivd.Invalid, "capacity of %d bytes is less than the present %d", capacity, d.capacity)
		}
		if err := d.content.Truncate(capacity); err != nil {
			return err
		}
		return d.become(d.meta, capacity)
	})
}

// Copy makes a new disk at path with the content of a snapshot.
func (d *Disk) Copy(ctx context.Context, snapshot, path string) (err error) {
	if err := Create(path, d.Capacity()); err != nil {
		return err
	}
	base, err := baseOf(path)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(contentPath(base), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	buf := make([]byte, maxPiece)
	for at, size := int64(0), d.Capacity(); at < size; {
		a, err := d.Allocated(snapshot, at, size, 64)
		if err != nil {
			return err
		}
		for _, x := range a.Extents {
			if err := d.copyExtent(ctx, snapshot, out, x, buf); err != nil {
				return err
			}
		}
		at = a.End
	}
	return nil
}

func (d *Disk) copyExtent(ctx context.Context, snapshot string, out *os.File, x ivd.Extent, buf []byte) error {
	for at := x.Offset; at < x.End(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := buf[:min(int64(len(buf)), x.End()-at)]
		if err := d.ReadAt(snapshot, p, at); err != nil {
			return err
		}
		if _, err := out.WriteAt(p, at); err != nil {
			return err
		}
		at += int64(len(p))
	}
	return nil
}
