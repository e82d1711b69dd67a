package estate

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"ivdmover/deploy/lab/disk"
	"ivdmover/shared/ivd"
)

// IndependentNonpersistent is the disk mode whose writes are thrown away.
const IndependentNonpersistent = "independent_nonpersistent"

// Attach makes a disk a device of a machine. A disk may be attached to several
// machines. A tracked disk is refused (kind Unsupported) by a machine that does
// not track, unless its writes are thrown away; a machine that tracks turns the
// disk's tracking on, for good.
func (e *Estate) Attach(ctx context.Context, datastore string, id ivd.DiskID, a Attachment) error {
	return e.operate(ctx, datastore, id, "attachment", func(_ *Disk, d *disk.Disk) error {
		e.mu.Lock()
		m := e.state.machine(a.Machine)
		tracks := m != nil && m.Tracking
		e.mu.Unlock()
		switch {
		case m == nil:
			return ivd.Errorf(ivd.NotFound, "no machine %q", a.Machine)
		case a.Mode == IndependentNonpersistent:
		case d.Tracking() && !tracks:
			return ivd.Errorf(ivd.Unsupported, "the disk tracks its changes and machine %s does not", a.Machine)
		case tracks:
			if err := d.TrackChanges(true); err != nil {
				return err
			}
		}
		return e.update(func(s *state) error {
			r := s.Disks[id]
			if slices.ContainsFunc(r.Attached, func(x Attachment) bool { return x.Machine == a.Machine }) {
				return ivd.Errorf(ivd.Conflict, "the disk is attached to machine %s already", a.Machine)
			}
			if e.opened(id, func(h *Handle) bool { return h.snapshot == "" }) {
				return ivd.Errorf(ivd.Conflict, "the disk is open")
			}
			r.Attached = append(r.Attached, a)
			return nil
		})
	})
}

// Detach takes a disk from a machine; kind NotFound where it is not attached.
func (e *Estate) Detach(ctx context.Context, id ivd.DiskID, machine string) error {
	found, err := e.Search(id)
	if err != nil {
		return err
	}
	return e.operate(ctx, found.Datastore, id, "detachment", func(*Disk, *disk.Disk) error {
		return e.update(func(s *state) error {
			r := s.Disks[id]
			n := len(r.Attached)
			r.Attached = slices.DeleteFunc(r.Attached, func(a Attachment) bool { return a.Machine == machine })
			if len(r.Attached) == n {
				return ivd.Errorf(ivd.NotFound, "the disk is not attached to machine %s", machine)
			}
			return nil
		})
	})
}

func (e *Estate) attached(id ivd.DiskID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.state.Disks[id]
	return r != nil && len(r.Attached) > 0
}

// Prepare forbids, for an identity, the relocation of a machine, or of all machines
// that a disk of a datastore is attached to, one after another. It tells which
// machines those are. At one of those that refuse it stops, with kind Denied: the ones
// before stay as they are.
func (e *Estate) Prepare(datastore string, a Access, refusing []string) ([]string, error) {
	var machines []string
	var refused error
	err := e.update(func(s *state) error {
		all := []string{a.Machine}
		if a.Machine == "" {
			if _, _, err := e.find(datastore, a.Disk); err != nil {
				return err
			}
			all = all[:0]
			for _, at := range s.Disks[a.Disk].Attached {
				all = append(all, at.Machine)
			}
		}
		for _, name := range all {
			if slices.Contains(refusing, name) {
				refused = ivd.Errorf(ivd.Denied, "no right to disable methods of machine %s", name)
				break
			}
			h := Hold{Machine: name, Disk: a.Disk, Identity: a.Identity}
			if !slices.Contains(s.Holds, h) {
				s.Holds = append(s.Holds, h)
			}
			machines = append(machines, name)
		}
		s.prepared(a)
		return nil
	})
	if err == nil {
		err = refused
	}
	return machines, err
}

// End lifts what Prepare did, also where the disk has been detached or deleted since.
// To repeat it does no harm.
func (e *Estate) End(a Access) ([]string, error) {
	var machines []string
	err := e.update(func(s *state) error {
		s.Holds = slices.DeleteFunc(s.Holds, func(h Hold) bool {
			mine := h.Disk == a.Disk && h.Identity == a.Identity && (a.Machine == "" || h.Machine == a.Machine)
			if mine {
				machines = append(machines, h.Machine)
			}
			return mine
		})
		s.ended(a)
		return nil
	})
	return machines, err
}

// Holds are all wishes that a machine must not be relocated.
func (e *Estate) Holds() []Hold {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.state.Holds)
}

// Held reports whether a machine must not be relocated, and for whom.
func (e *Estate) Held(machine string) (identity string, held bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.state.Holds {
		if h.Machine == machine {
			return h.Identity, true
		}
	}
	return "", false
}

func makeFolder(file string) error { return os.MkdirAll(filepath.Dir(file), 0o700) }
