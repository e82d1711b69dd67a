package estate

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync/atomic"

	"ivdmover/deploy/lab/disk"
	"ivdmover/shared/ivd"
)

var (
	// ErrInUse says that a running machine holds the disk: only its snapshots can
	// be opened.
	ErrInUse = errors.New("attached to a machine that runs")
	// ErrReadOnly says that a snapshot, or a handle for reading, was to be written.
	ErrReadOnly = errors.New("opened for reading only")
)

// Handle is an open disk or snapshot. Its methods are safe for concurrent use.
type Handle struct {
	e        *Estate
	d        *disk.Disk
	record   Disk
	snapshot ivd.SnapshotID
	write    bool
	peer     string
	closed   atomic.Bool
}

// Open opens a disk's snapshot, or its present content where snapshot is empty.
// One handle writes, or many read; peer says for whom.
func (e *Estate) Open(datastore string, id ivd.DiskID, snapshot ivd.SnapshotID, write bool, peer string) (*Handle, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, d, err := e.openable(datastore, id, snapshot, write)
	if err != nil {
		return nil, err
	}
	h := &Handle{e: e, d: d, record: r.clone(), snapshot: snapshot, write: write, peer: peer}
	e.handles[h] = struct{}{}
	return h, nil
}

// CanOpen tells what Open would refuse now, and opens nothing.
func (e *Estate) CanOpen(datastore string, id ivd.DiskID, snapshot ivd.SnapshotID, write bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, _, err := e.openable(datastore, id, snapshot, write)
	return err
}

func (e *Estate) openable(datastore string, id ivd.DiskID, snapshot ivd.SnapshotID, write bool) (*Disk, *disk.Disk, error) {
	r, d, err := e.find(datastore, id)
	switch {
	case err != nil:
	case snapshot == "":
		err = e.liveOpenable(r, write)
	case find(d.Snapshots(), snapshot) < 0:
		err = noSnapshot(snapshot)
	case write:
		err = ivd.Errorf(ivd.Invalid, "snapshot %s: %w", snapshot, ErrReadOnly)
	}
	return r, d, err
}

func (e *Estate) liveOpenable(r *Disk, write bool) error {
	for _, a := range r.Attached {
		if m := e.state.machine(a.Machine); m != nil && m.On {
			return ivd.Errorf(ivd.Locked, "disk %s: machine %s: %w", r.ID, a.Machine, ErrInUse)
		}
	}
	if e.opened(r.ID, func(h *Handle) bool { return h.snapshot == "" && (write || h.write) }) {
		return ivd.Errorf(ivd.Locked, "disk %s is open", r.ID)
	}
	return nil
}

// opened is called with the estate locked.
func (e *Estate) opened(id ivd.DiskID, which func(*Handle) bool) bool {
	for h := range e.handles {
		if h.record.ID == id && which(h) {
			return true
		}
	}
	return slices.ContainsFunc(e.outside(), func(h *Handle) bool { return h.record.ID == id && which(h) })
}

func (e *Estate) inUse(id ivd.DiskID, which func(*Handle) bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.opened(id, which)
}

// Close gives the handle up. To repeat it does no harm.
func (h *Handle) Close() {
	if h.closed.Swap(true) {
		return
	}
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	delete(h.e.handles, h)
}

// Disk is the disk as it was when it was opened.
func (h *Handle) Disk() Disk { return h.record }

// Capacity is the disk's size in bytes.
func (h *Handle) Capacity() int64 { return h.d.Capacity() }

// Links is the length of the chain that is read: the snapshots up to this one.
func (h *Handle) Links() int {
	list := h.d.Snapshots()
	if i := find(list, h.snapshot); i >= 0 {
		return i + 1
	}
	return len(list) + 1
}

// ReadAt fills p; disk.ErrRange beyond the end.
func (h *Handle) ReadAt(p []byte, off int64) error {
	if err := h.d.ReadAt(string(h.snapshot), p, off); err != nil {
		return err
	}
	h.count(Traffic{Read: int64(len(p))})
	return nil
}

// WriteAt writes p; disk.ErrRange beyond the end.
func (h *Handle) WriteAt(p []byte, off int64) error {
	if !h.write {
		return ErrReadOnly
	}
	if err := h.d.WriteAt(p, off); err != nil {
		return err
	}
	h.count(Traffic{Written: int64(len(p))})
	return nil
}

// Flush makes what was written durable.
func (h *Handle) Flush() error { return h.d.Flush() }

// Allocated lists the allocated areas within [from, to).
func (h *Handle) Allocated(from, to int64, limit int) (disk.Areas, error) {
	return h.d.Allocated(string(h.snapshot), from, to, limit)
}

func (h *Handle) count(t Traffic) {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	h.e.traffic[h.record.ID] = h.e.traffic[h.record.ID].plus(t)
}

// OpenHandle tells of a handle.
type OpenHandle struct {
	Disk     ivd.DiskID     `json:"disk"`
	Snapshot ivd.SnapshotID `json:"snapshot,omitempty"`
	Write    bool           `json:"write,omitempty"`
	Peer     string         `json:"peer"`
}

// Handles lists the open handles.
func (e *Estate) Handles() []OpenHandle {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []OpenHandle
	for _, h := range append(slices.Collect(maps.Keys(e.handles)), e.outside()...) {
		list = append(list, OpenHandle{Disk: h.record.ID, Snapshot: h.snapshot, Write: h.write, Peer: h.peer})
	}
	slices.SortFunc(list, func(a, b OpenHandle) int {
		return cmp.Or(cmp.Compare(a.Disk, b.Disk), cmp.Compare(a.Snapshot, b.Snapshot), cmp.Compare(a.Peer, b.Peer))
	})
	return list
}
