package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ivdmover/deploy/stage"
)

// damage flips a byte of the newest pack, as a store does that loses data and does not
// know it, and wants verification to find that, and nothing else.
func (s *show) damage(ctx context.Context) error {
	pack, err := s.newestPack()
	if err != nil {
		return err
	}
	at, err := flip(pack)
	if err != nil {
		return err
	}
	s.Say("  byte %d of pack %s is another one now", at, filepath.Base(pack))
	r, err := s.verify(ctx)
	if err == nil {
		return fmt.Errorf("%s is damaged, and verification has not found it", pack)
	}
	for _, d := range r.Disks {
		switch {
		case d.Failure == nil:
			s.Say("    %-10s whole", d.Name)
		case s.damaged != "" || !strings.Contains(d.Failure.Message, "is damaged"):
			return err // more than the one that was damaged
		default:
			s.damaged = d.Name
			s.Say("    %-10s %s", d.Name, d.Failure.Message)
		}
	}
	if s.damaged == "" {
		return err
	}
	return nil
}

// heal backs up again, and wants the newest points to be whole.
func (s *show) heal(ctx context.Context) error {
	if err := s.backup(ctx, "fourth"); err != nil {
		return err
	}
	if s.last().Disk(s.damaged).Stats.StoredBytes == 0 {
		return fmt.Errorf("%s was not healed", s.damaged)
	}
	r, err := s.verify(ctx)
	if err != nil {
		return err
	}
	for _, d := range r.Disks {
		s.Say("    %-10s whole", d.Name)
	}
	return nil
}

// verify reads the newest point of every disk.
func (s *show) verify(ctx context.Context) (stage.Run, error) {
	args := []string{"verify"}
	for _, d := range s.last().Disks {
		args = append(args, d.Name+"@latest")
	}
	var begun stage.Run
	if err := s.Ask(ctx, &begun, args...); err != nil {
		return stage.Run{}, err
	}
	return s.Ended(ctx, s.coordinator, begun.ID, runLimit)
}

// newestPack is the file of the data pack that was stored last.
func (s *show) newestPack() (newest string, err error) {
	folder, ok := strings.CutPrefix(s.Config.Repository, "dir://")
	if !ok {
		folder = s.Path("repository", "backups") // the S3 server's bucket
	}
	var stored time.Time
	err = filepath.WalkDir(filepath.Join(folder, "data"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.ModTime().After(stored) {
			newest, stored = path, info.ModTime()
		}
		return err
	})
	if err == nil && newest == "" {
		err = errors.New("the repository has no pack")
	}
	return newest, err
}

// flip changes a bit in the middle of a file.
func flip(file string) (at int64, err error) {
	if err := os.Chmod(file, 0o600); err != nil {
		return 0, err
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	at = info.Size() / 2
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		return 0, err
	}
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	return at, err
}
