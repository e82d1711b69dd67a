package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"ivdmover/deploy/stage"
)

// The disks that the story needs.
const (
	filesDisk    = "files"    // an ext4 file system with real files of this machine
	oddDisk      = "odd"      // no multiple of 64 KiB
	largeDisk    = "large"    // several spans, mostly empty
	attachedDisk = "attached" // in use by a VM
)

// makeDisks fills the estate: two disks are raw images put into a datastore's folder
// and registered, the others are created; all through the vSphere API.
func (s *show) makeDisks(ctx context.Context) error {
	files, err := s.Register(ctx, "datastore1", filesDisk, func(flat string) error {
		tree, size := realFiles()
		mib := size*3/2>>20 + 64
		s.Say("  %s: ext4 of %d MiB with the files of %s", filesDisk, mib, tree)
		return stage.MakeExt4(ctx, flat, tree, mib)
	})
	if err != nil {
		return err
	}
	odd, err := s.Register(ctx, "datastore2", oddDisk, oddImage)
	if err != nil {
		return err
	}
	s.disks[filesDisk], s.disks[oddDisk] = files, odd
	if err := s.create(ctx, largeDisk, "datastore1", 2<<30); err != nil {
		return err
	}
	if err := s.create(ctx, attachedDisk, "datastore2", 192<<20); err != nil {
		return err
	}
	for i := range s.Disks {
		if err := s.create(ctx, plain(i), fmt.Sprintf("datastore%d", i%2+1), s.Size); err != nil {
			return err
		}
	}
	if err := s.Owner.Attach(ctx, s.disks[attachedDisk].Ref, 0); err != nil {
		return err
	}
	return s.firstContent(ctx)
}

func (s *show) create(ctx context.Context, name, datastore string, size int64) (err error) {
	s.disks[name], err = s.Owner.Create(ctx, datastore, name, size>>20)
	return err
}

func plain(i int) string { return fmt.Sprintf("plain-%02d", i+1) }

// firstContent is written by the guests of the disks that were created.
func (s *show) firstContent(ctx context.Context) error {
	large, attached := s.disks[largeDisk], s.disks[attachedDisk]
	err := errors.Join(
		s.GuestWrites(ctx, large, 0, 96<<20, 1),
		s.GuestWrites(ctx, large, 700<<20, 64<<20, 2),
		s.GuestWrites(ctx, large, 1280<<20, 64<<20, 2), // the same content again
		s.GuestWrites(ctx, attached, 0, 80<<20, 3),
	)
	for i := range s.Disks {
		err = errors.Join(err, s.GuestWrites(ctx, s.disks[plain(i)], 0, s.Size/2, 100+i))
	}
	return err
}

// realFiles is a folder of this machine with files worth backing up, not too large
// for a short demonstration, and the room that they take.
func realFiles() (folder string, size int64) {
	for _, folder := range []string{"/usr/share/doc", "/usr/share/perl", "/usr/include"} {
		if size := roomFor(folder); size > 4<<20 && size < 300<<20 {
			return folder, size
		}
	}
	return "/etc", roomFor("/etc")
}

func roomFor(folder string) (size int64) {
	_ = filepath.WalkDir(folder, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // what cannot be read is left out by mkfs too, or refused by it
		}
		if info, err := e.Info(); err == nil {
			size += info.Size() + 4096 // a block's rounding and an inode
		}
		return nil
	})
	return size
}

// oddImage is a raw image of 61 MiB and 7 sectors, a third of it zeros.
func oddImage(flat string) error {
	content := make([]byte, 61<<20+7*512)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(content[:40<<20])
	_, _ = r.Read(content[len(content)-4096:])
	return os.WriteFile(flat, content, 0o600)
}

// guestsWrite is what happens between the first two backups.
func (s *show) guestsWrite(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s.Say("  a new file in %s; writes to the others, one of them to the last sectors of %s", filesDisk, oddDisk)
	return errors.Join(
		s.CopyExt4File(ctx, s.disks[filesDisk], self, "a-new-file"),
		s.GuestWrites(ctx, s.disks[largeDisk], 100<<20, 8<<20, 11),
		s.GuestWrites(ctx, s.disks[largeDisk], 1900<<20, 1<<20, 12),
		s.GuestWrites(ctx, s.disks[oddDisk], 61<<20, 7*512, 13),
		s.GuestWrites(ctx, s.disks[attachedDisk], 20<<20, 4<<20, 14),
	)
}
