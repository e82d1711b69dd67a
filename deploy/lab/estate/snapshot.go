package estate

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"ivdmover/deploy/lab/disk"
	"ivdmover/shared/ivd"
)

// ErrNoSnapshot says that the disk is there and its snapshot is not.
var ErrNoSnapshot = errors.New("no such snapshot")

func noSnapshot(id ivd.SnapshotID) error {
	return ivd.Errorf(ivd.NotFound, "snapshot %q: %w", id, ErrNoSnapshot)
}

// Snapshot makes a snapshot. Its record is stored first: no snapshot is ever
// without its description.
func (e *Estate) Snapshot(ctx context.Context, datastore string, id ivd.DiskID, description string) (Snapshot, error) {
	return e.snapshot(ctx, datastore, id, Snapshot{Description: description})
}

func (e *Estate) snapshot(ctx context.Context, datastore string, id ivd.DiskID, made Snapshot) (Snapshot, error) {
	made.ID, made.Backing, made.Created = ivd.SnapshotID(uuid.NewString()), uuid.NewString(), time.Now().UTC()
	err := e.operate(ctx, datastore, id, "snapshot", func(_ *Disk, d *disk.Disk) error {
		err := e.update(func(s *state) error {
			s.Disks[id].Snapshots = append(s.Disks[id].Snapshots, made)
			return nil
		})
		if err != nil {
			return err
		}
		if err := d.Snapshot(string(made.ID)); err != nil {
			return errors.Join(err, e.forgetSnapshots(id, d))
		}
		return nil
	})
	return made, err
}

// forgetSnapshots drops the records of snapshots that the disk does not have.
func (e *Estate) forgetSnapshots(id ivd.DiskID, d *disk.Disk) error {
	there := d.Snapshots()
	return e.update(func(s *state) error {
		r := s.Disks[id]
		r.Snapshots = slices.DeleteFunc(r.Snapshots, func(x Snapshot) bool { return find(there, x.ID) < 0 })
		return nil
	})
}

func find(list []disk.Snapshot, id ivd.SnapshotID) int {
	return slices.IndexFunc(list, func(s disk.Snapshot) bool { return s.ID == string(id) })
}

// DeleteSnapshot deletes a snapshot; kind Conflict while a handle on it is open.
func (e *Estate) DeleteSnapshot(ctx context.Context, datastore string, id ivd.DiskID, snapshot ivd.SnapshotID) error {
	return e.operate(ctx, datastore, id, "deletion of snapshot "+string(snapshot), func(_ *Disk, d *disk.Disk) error {
		if find(d.Snapshots(), snapshot) < 0 {
			return noSnapshot(snapshot)
		}
		if e.inUse(id, func(h *Handle) bool { return h.snapshot == snapshot }) {
			return ivd.Errorf(ivd.Conflict, "the snapshot is open")
		}
		if err := d.DeleteSnapshot(ctx, string(snapshot)); err != nil {
			return err
		}
		return e.forgetSnapshots(id, d)
	})
}

// Revert brings a snapshot's content back and removes all later snapshots; kind
// Conflict while the disk is attached or open.
func (e *Estate) Revert(ctx context.Context, datastore string, id ivd.DiskID, snapshot ivd.SnapshotID) error {
	return e.operate(ctx, datastore, id, "revert", func(_ *Disk, d *disk.Disk) error {
		if find(d.Snapshots(), snapshot) < 0 {
			return noSnapshot(snapshot)
		}
		if e.attached(id) {
			return ivd.Errorf(ivd.Conflict, "the disk is attached")
		}
		if e.inUse(id, func(h *Handle) bool { return h.snapshot != snapshot }) {
			return ivd.Errorf(ivd.Conflict, "the disk is open")
		}
		if err := d.Revert(string(snapshot)); err != nil {
			return err
		}
		return e.forgetSnapshots(id, d)
	})
}

// CreateFrom makes a new disk with the content of a snapshot.
func (e *Estate) CreateFrom(ctx context.Context, datastore string, id ivd.DiskID, snapshot ivd.SnapshotID, name, folder string) (Disk, error) {
	var made Disk
	err := e.operate(ctx, datastore, id, "copy of snapshot "+string(snapshot), func(_ *Disk, d *disk.Disk) error {
		if find(d.Snapshots(), snapshot) < 0 {
			return noSnapshot(snapshot)
		}
		r, err := e.newDisk(datastore, name, folder)
		if err != nil {
			return err
		}
		if err := makeFolder(e.path(r)); err != nil {
			return err
		}
		if err := d.Copy(ctx, string(snapshot), e.path(r)); err != nil {
			return errors.Join(err, disk.Remove(e.path(r)))
		}
		made, err = e.record(r)
		return err
	})
	return made, err
}

// ChangeID is the snapshot's mark in the disk's tracked changes; empty where they
// were not tracked.
func (e *Estate) ChangeID(datastore string, id ivd.DiskID, snapshot ivd.SnapshotID) (ivd.ChangeID, error) {
	d, err := e.look(datastore, id)
	if err != nil {
		return "", err
	}
	list := d.Snapshots()
	i := find(list, snapshot)
	if i < 0 {
		return "", noSnapshot(snapshot)
	}
	return ivd.ChangeID(list[i].ChangeID()), nil
}

// Changed lists changed areas: see disk.Changed.
func (e *Estate) Changed(datastore string, id ivd.DiskID, snapshot ivd.SnapshotID, since string, from int64, limit int) (disk.Areas, error) {
	d, err := e.look(datastore, id)
	if err != nil {
		return disk.Areas{}, err
	}
	if find(d.Snapshots(), snapshot) < 0 {
		return disk.Areas{}, noSnapshot(snapshot)
	}
	return d.Changed(string(snapshot), since, from, limit)
}

func (e *Estate) look(datastore string, id ivd.DiskID) (*disk.Disk, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, d, err := e.find(datastore, id)
	return d, err
}
