package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/google/uuid"
)

// Allocated lists the allocated areas within [from, to) of a snapshot, or of the
// present content where the snapshot's id is empty, up to limit areas. What is in
// none of them is zero; zeros may be in them.
func (d *Disk) Allocated(snapshot string, from, to int64, limit int) (Areas, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if from < 0 || from >= to || to > d.capacity {
		return Areas{}, fmt.Errorf("areas in %d to %d of %d: %w", from, to, d.capacity, ErrRange)
	}
	var layers []*layer
	if snapshot != "" {
		i := d.meta.find(snapshot)
		if i < 0 {
			return Areas{}, unknownSnapshot(snapshot)
		}
		layers = d.layers[i:]
	}
	return d.allocated(layers, from, to, limit)
}

func (d *Disk) allocated(layers []*layer, from, to int64, limit int) (Areas, error) {
	content := data{f: d.content}
	saved := make([]scanner, len(layers))
	copies := make([]data, len(layers))
	for i, l := range layers {
		saved[i], copies[i] = scanner{f: l.bits}, data{f: l.dat}
	}
	allocated := func(b int64) bool {
		for i := range saved {
			if saved[i].has(b) {
				return copies[i].next(b) == b
			}
		}
		return content.next(b) == b
	}
	next := func(b, count int64) (int64, int64) {
		for {
			c := min(content.next(b), count)
			for i := range saved {
				c = min(c, saved[i].upcoming(b, count))
			}
			if c >= count || allocated(c) {
				return c, c + 1
			}
			b = c + 1
		}
	}
	a := gather(next, from, to, d.capacity, limit)
	err := content.err
	for i := range saved {
		err = errors.Join(err, saved[i].err, copies[i].err)
	}
	return a, err
}

// data looks for allocated blocks of a sparse file, in one pass from its beginning
// to its end; it remembers the last extent.
type data struct {
	f          *os.File
	start, end int64 // bytes of the extent that was found last
	err        error
}

const never = int64(1) << 62

// next is the first block at or after b that has any data.
func (x *data) next(b int64) int64 {
	off := b * BlockSize
	if off >= x.end {
		at, err := seekData(x.f, off)
		if err != nil || at < 0 {
			x.err = errors.Join(x.err, err)
			x.start, x.end = never, never
			return never / BlockSize
		}
		hole, err := seekHole(x.f, at)
		x.err = errors.Join(x.err, err)
		x.start, x.end = at, hole
	}
	return max(b, x.start/BlockSize)
}

func changesFile(epoch uint64) string { return "changes-" + strconv.FormatUint(epoch, 10) }

func newSeries() string { return uuid.NewString() }

func (d *Disk) forgetChanges() error {
	names, err := filepath.Glob(d.file("changes-*"))
	for _, name := range names {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}
