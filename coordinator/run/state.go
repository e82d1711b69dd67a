package run

import (
	"context"
	"fmt"
	"strings"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

// Keys of the state bucket: run.<run>, disk.<run>.<disk>, ledger.<run>.<disk>.

func runKey(id ivd.RunID) string { return "run." + string(id) }

func diskKey(d Disk) string { return "disk." + string(d.Run) + "." + string(d.Key()) }

func ledgerKey(run ivd.RunID, disk ivd.DiskID) string {
	return "ledger." + string(run) + "." + string(disk)
}

// Key names a disk within its run: the disk that is backed up, or the one that a
// restored point is of, since a new disk has no id until it is made.
func (d Disk) Key() ivd.DiskID {
	if d.From != "" {
		return d.From.Disk()
	}
	return d.Ref.ID()
}

func (s *Service) getRun(ctx context.Context, id ivd.RunID) (Run, uint64, error) {
	r, rev, err := queue.Get[Run](ctx, s.Queue.State(), runKey(id))
	switch {
	case ivd.KindOf(err) == ivd.NotFound:
		return r, 0, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no run %s", id), Remedy: "`ivd runs` lists them"}
	case err != nil:
		return r, 0, fmt.Errorf("read run %s: %w", id, err)
	}
	return r, rev, checkVersion("run "+string(id), r.Version)
}

// listRuns reads every run, in no order. One that a newer program wrote is left
// out, so that it hides none of the others.
func (s *Service) listRuns(ctx context.Context) (map[ivd.RunID]Run, error) {
	entries, err := s.Queue.State().List(ctx, "run.")
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	runs := make(map[ivd.RunID]Run, len(entries))
	for _, e := range entries {
		id := ivd.RunID(strings.TrimPrefix(e.Key, "run."))
		var r Run
		err := e.Decode(&r)
		if err == nil {
			err = checkVersion("run "+string(id), r.Version)
		}
		if err != nil {
			s.Log.Warn("a run is left out", "run", id, "err", err)
			continue
		}
		runs[id] = r
	}
	return runs, nil
}

// getDisk reads a disk of a run by its key within the run.
func (s *Service) getDisk(ctx context.Context, run ivd.RunID, key ivd.DiskID) (Disk, uint64, error) {
	name := "disk." + string(run) + "." + string(key)
	d, rev, err := queue.Get[Disk](ctx, s.Queue.State(), name)
	if err != nil {
		return d, 0, fmt.Errorf("read %s: %w", name, err)
	}
	return d, rev, checkVersion(name, d.Version)
}

type storedDisk struct {
	Disk
	rev uint64
}

// listDisks reads the disks of a run.
func (s *Service) listDisks(ctx context.Context, id ivd.RunID) ([]storedDisk, error) {
	entries, err := s.Queue.State().List(ctx, "disk."+string(id)+".")
	if err != nil {
		return nil, fmt.Errorf("list the disks of run %s: %w", id, err)
	}
	disks := make([]storedDisk, len(entries))
	for i, e := range entries {
		d := &disks[i]
		if err := e.Decode(&d.Disk); err != nil {
			return nil, err
		}
		if err := checkVersion(e.Key, d.Version); err != nil {
			return nil, err
		}
		d.rev = e.Revision
	}
	return disks, nil
}

func checkVersion(what string, v int) error {
	if v > Version {
		return &ivd.Error{Kind: ivd.Unsupported, Err: fmt.Errorf("%s has version %d, this program knows %d", what, v, Version), Remedy: "use the newer ivd that wrote it"}
	}
	return nil
}
