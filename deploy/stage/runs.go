package stage

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// Run is what is read of `ivd run show -o json`.
type Run struct {
	ID    string    `json:"id"`
	State string    `json:"state"`
	Disks []RunDisk `json:"disks"`
	Stats Stats     `json:"stats"`
}

// RunDisk is one disk of a run.
type RunDisk struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	VCenter string `json:"vcenter"`
	Step    string `json:"step"`
	Result  string `json:"result"`
	Mode    string `json:"mode"`
	Point   string `json:"point"`
	Stats   Stats  `json:"stats"`
	Failure *struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
	} `json:"failure"`
}

// Stats are a run's or a disk's figures, in bytes.
type Stats struct {
	DiskBytes       int64 `json:"disk_bytes"`
	ReadBytes       int64 `json:"read_bytes"`
	ZeroBytes       int64 `json:"zero_bytes"`
	DedupBytes      int64 `json:"dedup_bytes"`
	NewBytes        int64 `json:"new_bytes"`
	CompressedBytes int64 `json:"compressed_bytes"`
	StoredBytes     int64 `json:"stored_bytes"`
	WrittenBytes    int64 `json:"written_bytes"`
}

// Disk is the run's disk of that name.
func (r Run) Disk(name string) RunDisk {
	for _, d := range r.Disks {
		if d.Name == name {
			return d
		}
	}
	return RunDisk{}
}

// Backup begins a backup by the policy that selects every disk.
func (s *Stage) Backup(ctx context.Context, args ...string) (string, error) {
	var begun Run
	err := s.Ask(ctx, &begun, append([]string{"backup", "--policy", "all"}, args...)...)
	return begun.ID, err
}

// Restore begins a restore to a new disk.
func (s *Stage) Restore(ctx context.Context, point, name string) (string, error) {
	var begun Run
	err := s.Ask(ctx, &begun, "restore", point, "--name", name)
	return begun.ID, err
}

// ShortID is what people call a point.
func (s *Stage) ShortID(ctx context.Context, point string) (string, error) {
	var points []struct {
		ID      string `json:"id"`
		ShortID string `json:"short_id"`
	}
	if err := s.Quietly(ctx, &points, "points"); err != nil {
		return "", err
	}
	for _, p := range points {
		if p.ID == point {
			return p.ShortID, nil
		}
	}
	return "", fmt.Errorf("`ivd points` does not list %s", point)
}

// Followed waits for the end of a run by its events, and not by asking for all its disks
// again and again: for runs of very many. How it ended Ended tells.
func (s *Stage) Followed(ctx context.Context, id string) error {
	_, errs, err := s.Command(ctx, "run", "show", id, "--follow")
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 3 {
		return nil // partial
	}
	if err != nil {
		return fmt.Errorf("follow run %s: %w: %.500s", id, err, errs)
	}
	return nil
}

// Ended waits for the end of a run while p lives. A run that is not done wholly is
// an error.
func (s *Stage) Ended(ctx context.Context, p *Process, id string, limit time.Duration) (Run, error) {
	var r Run
	err := p.Await(ctx, "run "+id+" ends", limit, func() bool {
		var now Run
		if s.Quietly(ctx, &now, "run", "show", id) != nil {
			return false
		}
		r = now
		return r.State != "running"
	})
	if err != nil {
		return r, fmt.Errorf("%w\nlast seen: %+v", err, r)
	}
	if r.State != "done" {
		err = fmt.Errorf("run %s: %s", id, r.State)
		for _, d := range r.Disks {
			if d.Failure != nil {
				err = fmt.Errorf("%w; disk %s: %s", err, d.Name, d.Failure.Message)
			}
		}
	}
	return r, err
}
