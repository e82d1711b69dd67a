package demo

import (
	"context"
	"fmt"
	"strings"

	"ivdmover/deploy/stage"
)

// restored is a new disk and what it must be identical with.
type restored struct {
	name string // of the new disk
	want string // the file with the original content
	flat string // the file with the restored content
}

// restoreAll restores the last point of every disk, and the file system's first.
func (s *show) restoreAll(ctx context.Context) error {
	for _, d := range s.last().Disks {
		want, err := s.Flat(s.disks[d.Name])
		if err != nil {
			return err
		}
		if err := s.restore(ctx, d.Point, d.Name+"-restored", want); err != nil {
			return err
		}
	}
	return s.restore(ctx, s.runs[0].Disk(filesDisk).Point, filesDisk+"-first", s.firstFiles)
}

func (s *show) restore(ctx context.Context, point, name, want string) error {
	short, err := s.ShortID(ctx, point)
	if err != nil {
		return err
	}
	id, err := s.Restore(ctx, short, name)
	if err != nil {
		return err
	}
	ended, err := s.Ended(ctx, s.coordinator, id, runLimit)
	if err != nil {
		return err
	}
	s.result.RestoredBytes += ended.Stats.WrittenBytes
	d, err := s.ByName(ctx, name)
	if err != nil {
		return err
	}
	flat, err := s.Flat(d)
	s.restored = append(s.restored, restored{name, want, flat})
	return err
}

// compareAll compares each restored disk with its original, byte by byte, and has
// e2fsck check the restored file systems.
func (s *show) compareAll(ctx context.Context) error {
	for _, r := range s.restored {
		n, err := stage.Compare(r.want, r.flat)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		s.Say("  %-20s %10s identical", r.name, bytes(n))
		s.result.Identical++
		if !strings.HasPrefix(r.name, filesDisk+"-") {
			continue
		}
		if err := stage.CheckExt4(ctx, r.flat); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		s.Say("  %-20s %10s e2fsck: clean", r.name, "")
	}
	return nil
}

// checkLeftovers asks vCenter for snapshots and for methods that are still disabled.
func (s *show) checkLeftovers(ctx context.Context) error {
	left, err := s.Leftovers(ctx)
	if err != nil {
		return err
	}
	s.Say("  snapshots and disabled methods in vCenter: %d", len(left))
	if len(left) > 0 {
		return fmt.Errorf("left behind: %s", strings.Join(left, ", "))
	}
	return nil
}
