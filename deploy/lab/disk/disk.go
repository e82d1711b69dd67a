// Package disk is the content of a laboratory's virtual disk: a raw sparse file
// with a small descriptor beside it, snapshots by copy-on-write that are made in
// constant time, changed-block tracking, and the map of allocated blocks.
//
// Whatever process writes, snapshots or deletes snapshots holds the lock file, so
// that a guest may write from another process. Readers take no lock: a reader of
// a snapshot always sees that snapshot. A process that is killed between any two
// system calls leaves a state that the next one reads rightly; against a loss of
// power nothing is promised before Flush. The layout is documented in
// docs/laboratory.md. The package knows nothing of vSphere.
package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"ivdmover/shared/ivd"
)

const (
	// BlockSize is the unit of copy-on-write, of tracking and of allocation.
	BlockSize = 64 << 10
	// SectorSize divides every capacity.
	SectorSize = 512

	maxCapacity = ivd.MaxCapacity
)

var (
	// ErrUntracked says that changes were not tracked at that snapshot.
	ErrUntracked = errors.New("changed-block tracking was not on")
	// ErrChangeID says that a change id is of another series, or not of the past.
	ErrChangeID = errors.New("change id is not valid")
	// ErrRange says that an offset is beyond the disk.
	ErrRange = errors.New("beyond the end of the disk")
)

// Disk is an open disk. Its methods are safe for concurrent use.
type Disk struct {
	base string // the descriptor's path without ".vmdk"

	writing sync.Mutex // with the lock file: one writer, whatever the process
	lock    *os.File

	mu       sync.RWMutex // guards what follows against readers
	content  *os.File
	capacity int64
	meta     meta
	text     string   // the meta file that was read
	layers   []*layer // oldest first, as meta.snapshots
	changes  *os.File // of the present epoch; nil while untracked
}

func contentPath(base string) string { return base + "-flat.vmdk" }
func folderPath(base string) string  { return base + ".ivd" }

func (d *Disk) file(name string) string { return filepath.Join(folderPath(d.base), name) }

// Create makes an empty disk whose descriptor is at path, which ends in ".vmdk".
// It refuses a path that is taken.
func Create(path string, capacity int64) error {
	base, err := baseOf(path)
	if err != nil {
		return err
	}
	if err := checkCapacity(capacity); err != nil {
		return fmt.Errorf("create disk %s: %w", path, err)
	}
	f, err := os.OpenFile(contentPath(base), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return ivd.Errorf(ivd.Exists, "create disk: %w", err)
	}
	if err != nil {
		return fmt.Errorf("create disk: %w", err)
	}
	if err := errors.Join(f.Truncate(capacity), f.Close()); err != nil {
		return fmt.Errorf("create disk %s: %w", path, err)
	}
	return Register(path)
}

// Register makes a raw image a disk: the image lies at the descriptor's path with
// "-flat" before its ".vmdk"; the descriptor is written when it is empty or absent.
func Register(path string) error {
	base, err := baseOf(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(contentPath(base))
	if errors.Is(err, os.ErrNotExist) {
		return ivd.Errorf(ivd.NotFound, "register disk: %w", err)
	}
	if err != nil {
		return fmt.Errorf("register disk: %w", err)
	}
	if !info.Mode().IsRegular() {
		return ivd.Errorf(ivd.Invalid, "register disk: %s is no file", contentPath(base))
	}
	if err := checkCapacity(info.Size()); err != nil {
		return fmt.Errorf("register disk %s: %w", path, err)
	}
	if err := describe(path, info.Size()); err != nil {
		return fmt.Errorf("register disk: %w", err)
	}
	if err := os.MkdirAll(folderPath(base), 0o700); err != nil {
		return fmt.Errorf("register disk: %w", err)
	}
	d := &Disk{base: base}
	if _, err := os.Stat(d.file(metaFile)); err == nil {
		return nil
	}
	return d.writeMeta(meta{epoch: 1, series: none})
}

// Open opens a disk by its descriptor's path, and finishes what a process that
// was killed had begun.
func Open(path string) (*Disk, error) {
	base, err := baseOf(path)
	if err != nil {
		return nil, err
	}
	d := &Disk{base: base}
	if err := d.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open disk %s: %w", path, err), d.Close())
	}
	return d, nil
}

func (d *Disk) open() error {
	var err error
	if d.lock, err = os.OpenFile(d.file("lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return notFound(err)
	}
	if d.content, err = os.OpenFile(contentPath(d.base), os.O_RDWR, 0); err != nil {
		return notFound(err)
	}
	return d.exclusive(d.recover)
}

// Gone reports whether somebody has deleted the content since it was opened.
func (d *Disk) Gone() bool {
	_, err := os.Stat(contentPath(d.base))
	return errors.Is(err, os.ErrNotExist)
}

// Close releases the files. No other method may be running.
func (d *Disk) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := closeAll(d.lock, d.content, d.changes)
	for _, l := range d.layers {
		err = errors.Join(err, l.close())
	}
	d.lock, d.content, d.changes, d.layers, d.meta, d.capacity = nil, nil, nil, nil, meta{}, 0
	return err
}

// Capacity is the disk's size in bytes.
func (d *Disk) Capacity() int64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.capacity
}

// Flush makes what was written durable.
func (d *Disk) Flush() error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.content.Sync()
}

// Remove deletes a disk's files, snapshots included. Removing what is not there
// is no error.
func Remove(path string) error {
	base, err := baseOf(path)
	if err != nil {
		return err
	}
	err = os.RemoveAll(folderPath(base))
	for _, p := range []string{contentPath(base), path} {
		if e := os.Remove(p); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func baseOf(path string) (string, error) {
	base, ok := strings.CutSuffix(path, ".vmdk")
	if !ok || filepath.Base(base) == "." || strings.HasSuffix(base, "-flat") {
		return "", ivd.Errorf(ivd.Invalid, "disk %q: not the path of a .vmdk descriptor", path)
	}
	return base, nil
}

func checkCapacity(n int64) error {
	if n <= 0 || n%SectorSize != 0 || n > maxCapacity {
		return ivd.Errorf(ivd.Invalid, "capacity of %d bytes: want a multiple of %d up to %d", n, SectorSize, int64(maxCapacity))
	}
	return nil
}

func notFound(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return &ivd.Error{Kind: ivd.NotFound, Err: err}
	}
	return err
}

func closeAll(files ...*os.File) error {
	var err error
	for _, f := range files {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}
