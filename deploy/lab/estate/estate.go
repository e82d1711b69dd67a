// Package estate is the truth of a laboratory: its datastores, machines, disks
// with their snapshots and attachments, whose relocation is disabled, and the
// handles that are open. vSphere's words for it are package vcenter's business.
//
// What is promised as done is in the folder before a call returns: lab.json is
// replaced as a whole, for changes that come together at once, and a process that is killed leaves the state before or
// after a call, never another. One process serves a folder; a second is refused.
// A second operation on a disk while one runs is refused with kind Locked, as
// vSphere does; nothing waits for its turn.
package estate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ivdmover/deploy/lab/disk"
	"ivdmover/deploy/lab/script"
	"ivdmover/shared/ivd"
)

// Options of an estate. Datastores and Machines count when the folder is new.
type Options struct {
	Dir        string
	Datastores []string
	Machines   []Machine
	// OperationTime is how long an operation on a disk takes at least.
	OperationTime time.Duration
	Log           *slog.Logger
}

// Estate is safe for concurrent use.
type Estate struct {
	o    Options
	lock *os.File

	mu      sync.Mutex
	state   state
	changes uint64 // of the state, since the start
	open    map[ivd.DiskID]*disk.Disk
	busy    map[ivd.DiskID]string // the operation that runs on a disk
	handles map[*Handle]struct{}
	traffic map[ivd.DiskID]Traffic // through the data port

	directBefore map[way]Traffic // the start

	saving sync.Mutex // held while the file is replaced; before mu
	saved  uint64     // the latest change that is in the file; guarded by saving
}

// Open loads the folder's estate, or makes a new one. Kind Locked: another
// process serves the folder.
func Open(o Options) (*Estate, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open laboratory: %w", err)
	}
	lock, err := lockFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	e := &Estate{
		o: o, lock: lock, open: map[ivd.DiskID]*disk.Disk{}, busy: map[ivd.DiskID]string{},
		handles: map[*Handle]struct{}{}, traffic: map[ivd.DiskID]Traffic{}, directBefore: readDirect(o.Dir),
	}
	if err := errors.Join(e.load(), script.WriteUnended(o.Dir, nil)); err != nil {
		return nil, errors.Join(fmt.Errorf("open laboratory %s: %w", o.Dir, err), lock.Close())
	}
	return e, nil
}

func lockFolder(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lab.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open laboratory: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		err = &ivd.Error{
			Kind: ivd.Locked, Op: "open laboratory " + dir, Err: errors.New("another process serves this folder"),
			Remedy: "stop the other `ivd lab`, or give another --dir",
		}
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// Close closes all disks, and reports access that nobody has ended. No operation
// may be running.
func (e *Estate) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.reportUnended()
	for _, d := range e.open {
		err = errors.Join(err, d.Close())
	}
	clear(e.open)
	return errors.Join(err, e.lock.Close())
}

// Datastores are the datastores' names, in order.
func (e *Estate) Datastores() []string { return e.state.Datastores }

// Instance is the vCenter's own UUID.
func (e *Estate) Instance() string { return e.state.Instance }

// Folder is where a datastore lies in the file system.
func (e *Estate) Folder(datastore string) string {
	return filepath.Join(e.o.Dir, "datastores", datastore)
}

// Machines are the virtual machines, in order.
func (e *Estate) Machines() []Machine {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.state.Machines)
}

// Observe records what became of a machine's power and tracking. Machines that
// the estate does not know are ignored: they end with the process.
func (e *Estate) Observe(seen Machine) error {
	return e.update(func(s *state) error {
		m := s.machine(seen.Name)
		if m == nil || *m == seen {
			return errUnchanged
		}
		*m = seen
		return nil
	})
}

// Disks lists a datastore's disks by ascending id.
func (e *Estate) Disks(datastore string) []Disk {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []Disk
	for _, r := range e.state.Disks {
		if r.Datastore == datastore {
			list = append(list, r.clone())
		}
	}
	slices.SortFunc(list, func(a, b Disk) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Disk finds a disk on its datastore; kind NotFound when it is not there, or when
// its files are gone.
func (e *Estate) Disk(datastore string, id ivd.DiskID) (Disk, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, d, err := e.find(datastore, id)
	if err != nil {
		return Disk{}, err
	}
	x := r.clone()
	x.Capacity, x.Tracking = d.Capacity(), d.Tracking()
	made := d.Snapshots()
	x.Snapshots = slices.DeleteFunc(x.Snapshots, func(s Snapshot) bool {
		return !slices.ContainsFunc(made, func(m disk.Snapshot) bool { return m.ID == string(s.ID) })
	})
	return x, nil
}

// Search finds a disk by its id alone.
func (e *Estate) Search(id ivd.DiskID) (Disk, error) {
	e.mu.Lock()
	r := e.state.Disks[id]
	e.mu.Unlock()
	if r == nil {
		return Disk{}, noDisk("any datastore", id)
	}
	return e.Disk(r.Datastore, id)
}

// find is called with the estate locked.
func (e *Estate) find(datastore string, id ivd.DiskID) (*Disk, *disk.Disk, error) {
	r := e.state.Disks[id]
	if r == nil || r.Datastore != datastore {
		return nil, nil, noDisk(datastore, id)
	}
	d := e.open[id]
	if d == nil {
		var err error
		if d, err = disk.Open(e.path(r)); err != nil {
			return nil, nil, err
		}
		e.open[id] = d
	}
	if d.Gone() {
		return nil, nil, noDisk(datastore, id) // what has it open reads on, as a guest would
	}
	return r, d, nil
}

func noDisk(datastore string, id ivd.DiskID) error {
	return ivd.Errorf(ivd.NotFound, "no disk %s on %s", id, datastore)
}

func (e *Estate) path(r *Disk) string { return filepath.Join(e.Folder(r.Datastore), r.Path) }

// operate runs f as the only operation on a disk, for as long as one takes.
func (e *Estate) operate(ctx context.Context, datastore string, id ivd.DiskID, what string, f func(*Disk, *disk.Disk) error) error {
	e.mu.Lock()
	r, d, err := e.find(datastore, id)
	if err == nil && e.busy[id] != "" {
		err = ivd.Errorf(ivd.Locked, "disk %s: %s is running", id, e.busy[id])
	}
	if err != nil {
		e.mu.Unlock()
		return err
	}
	e.busy[id] = what
	x := r.clone()
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.busy, id)
		e.mu.Unlock()
	}()
	if err := e.pass(ctx); err != nil {
		return err
	}
	if err := f(&x, d); err != nil {
		return fmt.Errorf("%s of disk %s: %w", what, id, err)
	}
	return nil
}

// pass lets an operation's time go by.
func (e *Estate) pass(ctx context.Context) error {
	if e.o.OperationTime == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(e.o.OperationTime)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// All lists every disk as Disk does, those without files left out.
func (e *Estate) All() []Disk {
	e.mu.Lock()
	ids := slices.Sorted(maps.Keys(e.state.Disks))
	e.mu.Unlock()
	var list []Disk
	for _, id := range ids {
		if d, err := e.Search(id); err == nil {
			list = append(list, d)
		}
	}
	return list
}
