package demo

import (
	"context"
	"errors"
	"time"

	"ivdmover/deploy/stage"
	"ivdmover/shared/telemetry"
)

const runLimit = 3 * time.Minute

func (s *show) firstBackup(ctx context.Context) (err error) {
	if err = s.backup(ctx, "first"); err != nil {
		return err
	}
	// The first state of the file system, to be compared with its first point.
	flat, err := s.Flat(s.disks[filesDisk])
	if err != nil {
		return err
	}
	s.firstFiles = s.Path("files-first.img")
	return stage.Copy(ctx, flat, s.firstFiles)
}

func (s *show) secondBackup(ctx context.Context) error {
	return s.backup(ctx, "second")
}

// backup runs a whole backup and notes what it cost.
func (s *show) backup(ctx context.Context, title string) error {
	id, err := s.Backup(ctx)
	if err != nil {
		return err
	}
	return s.follow(ctx, title, id)
}

func (s *show) follow(ctx context.Context, title, id string) error {
	r, err := s.Ended(ctx, s.coordinator, id, runLimit)
	if err != nil {
		return err
	}
	for _, d := range r.Disks {
		s.Say("    %-10s %-9s read %10s of %10s, stored %10s", d.Name, d.Mode, bytes(d.Stats.ReadBytes), bytes(d.Stats.DiskBytes), bytes(d.Stats.StoredBytes))
	}
	s.runs = append(s.runs, r)
	s.result.Backups = append(s.result.Backups, Backup{title, r.ID, r.Stats})
	return nil
}

// last is the last backup.
func (s *show) last() stage.Run { return s.runs[len(s.runs)-1] }

// thirdBackup kills a mover that is at work for this run.
func (s *show) thirdBackup(ctx context.Context) error {
	err := errors.Join(
		s.GuestWrites(ctx, s.disks[largeDisk], 300<<20, 200<<20, 21),
		s.GuestWrites(ctx, s.disks[attachedDisk], 90<<20, 90<<20, 22),
	)
	if err != nil {
		return err
	}
	id, err := s.Backup(ctx)
	if err != nil {
		return err
	}
	victim, err := s.busyMover(ctx, id)
	if err != nil {
		return err
	}
	victim.Kill()
	s.Say("  %s is killed (SIGKILL) while it reads; the other one goes on", victim.Name)
	return s.follow(ctx, "third", id)
}

// busyMover waits until a mover works for the run, and is that mover.
func (s *show) busyMover(ctx context.Context, run string) (victim *stage.Process, err error) {
	err = s.movers[0].Await(ctx, "a mover reads", time.Minute, func() bool {
		var movers []struct {
			Name   string `json:"name"`
			Active []struct {
				Run string `json:"run"`
			} `json:"active"`
		}
		if s.Quietly(ctx, &movers, "movers") != nil {
			return false
		}
		for _, m := range movers {
			for _, p := range s.movers {
				if m.Name == p.Name && len(m.Active) > 0 && m.Active[0].Run == run {
					victim = p
					return true
				}
			}
		}
		return false
	})
	return victim, err
}

func bytes(n int64) string { return telemetry.Bytes(n) }
