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

func diskKey(d Disk) string { return "disk." + string(d.Run) + "." + string(d.key()) }

func ledgerKey(run ivd.RunID, disk ivd.DiskID) string {
	return "ledger." + string(run) + "." + string(disk)
}

// key names a disk within its run: the disk that is backed up, or the one that a
// restored point is of, since a new disk has no id until it is made.
func (d Disk) key() ivd.DiskID {
	if d.From != "" {
		return d.From.Disk()
	}
	return d.Ref.Disk
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

// listRuns reads every run, in no order.
func (s *Service) listRuns(ctx context.Context) (map[ivd.RunID]Run, error) {
	keys, err := s.Queue.State().Keys(ctx, "run.")
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	runs := make(map[ivd.RunID]Run, len(keys))
	for _, k := range keys {
		id := ivd.RunID(strings.TrimPrefix(k, "run."))
		r, _, err := s.getRun(ctx, id)
		if ivd.KindOf(err) == ivd.NotFound {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		runs[id] = r
	}
	return runs, nil
}

type storedDisk struct {
	Disk
	rev uint64
}

// listDisks reads the disks of a run.
func (s *Service) listDisks(ctx context.Context, id ivd.RunID) ([]storedDisk, error) {
	keys, err := s.Queue.State().Keys(ctx, "disk."+string(id)+".")
	if err != nil {
		return nil, fmt.Errorf("list the disks of run %s: %w", id, err)
	}
	var disks []storedDisk
	for _, k := range keys {
		d, rev, err := queue.Get[Disk](ctx, s.Queue.State(), k)
		if ivd.KindOf(err) == ivd.NotFound {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", k, err)
		}
		if err := checkVersion(k, d.Version); err != nil {
			return nil, err
		}
		disks = append(disks, storedDisk{d, rev})
	}
	return disks, nil
}

func checkVersion(what string, v int) error {
	if v > Version {
		return &ivd.Error{Kind: ivd.Unsupported, Err: fmt.Errorf("%s has version %d, this program knows %d", what, v, Version), Remedy: "use the newer ivd that wrote it"}
	}
	return nil
}
