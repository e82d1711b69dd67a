package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// exclusive runs f as the disk's only writer, in this process and in any other,
// with the disk's state as the last writer left it.
func (d *Disk) exclusive(f func() error) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	if err := flock(d.lock, unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock disk: %w", err)
	}
	defer func() { _ = flock(d.lock, unix.LOCK_UN) }()
	if err := d.refresh(); err != nil {
		return err
	}
	return f()
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// refresh takes over what another process has changed.
func (d *Disk) refresh() error {
	m, fresh, err := d.readMeta()
	if err != nil {
		return err
	}
	info, err := d.content.Stat()
	if err != nil {
		return err
	}
	if !fresh && info.Size() == d.Capacity() {
		return nil
	}
	return d.become(m, info.Size())
}

// become opens the layers of m, and lets go those that m does not name.
func (d *Disk) become(m meta, capacity int64) error {
	var layers []*layer
	kept := map[*layer]bool{}
	for _, s := range m.snapshots {
		l := d.layer(s.ID)
		if l == nil {
			var err error
			if l, err = openLayer(d.file, s.ID); err != nil {
				return err
			}
		}
		kept[l] = true
		layers = append(layers, l)
	}
	var changes *os.File
	if m.cbt {
		var err error
		if changes, err = os.OpenFile(d.file(changesFile(m.epoch)), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
			return err
		}
	}
	d.mu.Lock()
	old, oldChanges := d.layers, d.changes
	d.meta, d.text, d.layers, d.changes, d.capacity = m, m.String(), layers, changes, capacity
	d.mu.Unlock()
	err := closeAll(oldChanges)
	for _, l := range old {
		if !kept[l] {
			err = errors.Join(err, l.close())
		}
	}
	return err
}

// commit makes m the disk's state, on disk and here.
func (d *Disk) commit(m meta) error {
	if err := d.writeMeta(m); err != nil {
		return err
	}
	return d.become(m, d.capacity)
}

func (d *Disk) layer(id string) *layer {
	for _, l := range d.layers {
		if l.id == id {
			return l
		}
	}
	return nil
}

// recover finishes a revert and removes the files of snapshots that were not
// made, or that were deleted.
func (d *Disk) recover() error {
	if d.meta.revert != "" {
		if err := d.finishRevert(); err != nil {
			return err
		}
	}
	return d.sweep()
}

func (d *Disk) sweep() error {
	names, err := filepath.Glob(d.file("snap-*"))
	if err != nil {
		return err
	}
	for _, name := range names {
		id := strings.TrimPrefix(strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), "snap-")
		if d.meta.find(id) < 0 {
			err = errors.Join(err, os.Remove(name))
		}
	}
	return err
}
