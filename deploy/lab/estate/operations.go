package estate

import (
	"context"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"ivdmover/deploy/lab/disk"
	"ivdmover/shared/ivd"
)

const defaultFolder = "fcd"

// newDisk is a record whose files are yet to be made, in a folder of a datastore.
func (e *Estate) newDisk(datastore, name, folder string) (*Disk, error) {
	if err := e.checkDatastore(datastore); err != nil {
		return nil, err
	}
	if name == "" {
		return nil, ivd.Errorf(ivd.Invalid, "a disk needs a name")
	}
	if folder == "" {
		folder = defaultFolder
	}
	if !filepath.IsLocal(folder) {
		return nil, ivd.Errorf(ivd.Invalid, "path %q: want one within the datastore", folder)
	}
	id := ivd.DiskID(uuid.NewString())
	return &Disk{
		ID: id, Name: name, Datastore: datastore, Path: path.Join(folder, string(id)+".vmdk"),
		Backing: uuid.NewString(), Created: time.Now().UTC(),
	}, nil
}

func (e *Estate) checkDatastore(name string) error {
	for _, d := range e.state.Datastores {
		if d == name {
			return nil
		}
	}
	return ivd.Errorf(ivd.NotFound, "no datastore %q", name)
}

// record adds a disk whose files are there.
func (e *Estate) record(d *Disk) (Disk, error) {
	err := e.update(func(s *state) error {
		for _, x := range s.Disks {
			if x.Datastore == d.Datastore && x.Path == d.Path {
				return ivd.Errorf(ivd.Exists, "%s on %s is disk %s already", d.Path, d.Datastore, x.ID)
			}
		}
		s.Disks[d.ID] = d
		return nil
	})
	if err != nil {
		return Disk{}, err
	}
	return e.Disk(d.Datastore, d.ID)
}

// Create makes an empty disk, in the usual folder where folder is empty. It is
// recorded once, with all that was asked for: none is there with a part of it.
func (e *Estate) Create(ctx context.Context, datastore, name, folder string, capacity int64, asked ...func(*Disk)) (Disk, error) {
	d, err := e.newDisk(datastore, name, folder)
	if err != nil {
		return Disk{}, err
	}
	for _, f := range asked {
		f(d)
	}
	if err := e.pass(ctx); err != nil {
		return Disk{}, err
	}
	if err := makeFolder(e.path(d)); err != nil {
		return Disk{}, err
	}
	if err := disk.Create(e.path(d), capacity); err != nil {
		return Disk{}, err
	}
	return e.record(d)
}

// Register makes a raw image that lies in the datastore a disk. Its name is taken
// from the path where it is empty.
func (e *Estate) Register(datastore, file, name string) (Disk, error) {
	if !filepath.IsLocal(file) || !strings.HasSuffix(file, ".vmdk") {
		return Disk{}, ivd.Errorf(ivd.Invalid, "path %q: want a .vmdk within the datastore", file)
	}
	file = path.Clean(file)
	if name == "" {
		name = strings.TrimSuffix(path.Base(file), ".vmdk")
	}
	d, err := e.newDisk(datastore, name, "")
	if err != nil {
		return Disk{}, err
	}
	d.Path = file
	if err := disk.Register(e.path(d)); err != nil {
		return Disk{}, err
	}
	return e.record(d)
}

// Change applies f to a disk's record.
func (e *Estate) Change(ctx context.Context, datastore string, id ivd.DiskID, f func(*Disk)) error {
	return e.operate(ctx, datastore, id, "change", func(*Disk, *disk.Disk) error {
		return e.update(func(s *state) error { f(s.Disks[id]); return nil })
	})
}

// TrackChanges turns a disk's changed-block tracking on or off.
func (e *Estate) TrackChanges(ctx context.Context, datastore string, id ivd.DiskID, on bool) error {
	return e.operate(ctx, datastore, id, "change of tracking", func(_ *Disk, d *disk.Disk) error {
		return d.TrackChanges(on)
	})
}

// Extend gives a disk a larger capacity; kind Conflict while it has a snapshot.
func (e *Estate) Extend(ctx context.Context, datastore string, id ivd.DiskID, capacity int64) error {
	return e.operate(ctx, datastore, id, "extension", func(_ *Disk, d *disk.Disk) error {
		return d.Extend(capacity)
	})
}

// Delete removes a disk with its snapshots; kind Conflict while it is attached or
// open.
func (e *Estate) Delete(ctx context.Context, datastore string, id ivd.DiskID) error {
	if err := e.deleteLost(datastore, id); err == nil || ivd.KindOf(err) != ivd.Exists {
		return err
	}
	return e.operate(ctx, datastore, id, "deletion", func(r *Disk, d *disk.Disk) error {
		err := e.update(func(s *state) error {
			if len(s.Disks[id].Attached) > 0 {
				return ivd.Errorf(ivd.Conflict, "the disk is attached")
			}
			if e.opened(id, func(*Handle) bool { return true }) {
				return ivd.Errorf(ivd.Conflict, "the disk is open")
			}
			delete(s.Disks, id)
			delete(e.open, id)
			return nil
		})
		if err != nil {
			return err
		}
		if err := d.Close(); err != nil {
			return err
		}
		return disk.Remove(e.path(r))
	})
}

// deleteLost forgets a disk whose files are gone; kind Exists: they are not.
func (e *Estate) deleteLost(datastore string, id ivd.DiskID) error {
	return e.update(func(s *state) error {
		r := s.Disks[id]
		if r == nil || r.Datastore != datastore {
			return noDisk(datastore, id)
		}
		if _, _, err := e.find(datastore, id); ivd.KindOf(err) != ivd.NotFound {
			return ivd.Errorf(ivd.Exists, "disk %s has its files", id)
		}
		delete(s.Disks, id)
		return nil
	})
}
