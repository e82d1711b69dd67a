package estate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ivdmover/shared/ivd"
)

// SnapshotMachine makes a snapshot of each disk of a machine, but of those that are
// independent of its snapshots. They are the machine's snapshot's, which ref names,
// and no snapshots of the disks' own.
func (e *Estate) SnapshotMachine(ctx context.Context, machine, ref string) error {
	var all error
	for _, d := range e.All() {
		takesPart := slices.ContainsFunc(d.Attached, func(a Attachment) bool {
			return a.Machine == machine && !strings.HasPrefix(a.Mode, "independent")
		})
		if takesPart {
			_, err := e.snapshot(ctx, d.Datastore, d.ID, Snapshot{Description: "part of " + ref + " of " + machine, Machine: ref})
			all = errors.Join(all, err)
		}
	}
	return all
}

// DeleteMachineSnapshots deletes what SnapshotMachine has made of disks under one of
// these names; of all of them without a name.
func (e *Estate) DeleteMachineSnapshots(ctx context.Context, refs ...string) error {
	var all error
	for _, d := range e.All() {
		for _, s := range d.Snapshots {
			if s.Machine != "" && (len(refs) == 0 || slices.Contains(refs, s.Machine)) {
				all = errors.Join(all, e.DeleteSnapshot(ctx, d.Datastore, d.ID, s.ID))
			}
		}
	}
	return all
}

// At finds the disk of a descriptor's path; kind NotFound when there is none.
func (e *Estate) At(datastore, path string) (Disk, error) {
	for _, d := range e.Disks(datastore) {
		if d.Path == path {
			return e.Disk(datastore, d.ID)
		}
	}
	return Disk{}, ivd.Errorf(ivd.NotFound, "no disk [%s] %s", datastore, path)
}

// On reports whether a machine runs.
func (e *Estate) On(machine string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.state.machine(machine)
	return m != nil && m.On
}

// Of finds a disk's part of a machine's snapshot; ErrNoSnapshot when it has none.
func (d Disk) Of(ref string) (Snapshot, error) {
	for _, s := range d.Snapshots {
		if s.Machine == ref {
			return s, nil
		}
	}
	return Snapshot{}, fmt.Errorf("disk %s: %w", d.ID, noSnapshot(ivd.SnapshotID(ref)))
}
