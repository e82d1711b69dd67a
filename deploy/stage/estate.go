package stage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"ivdmover/deploy/lab/owner"
)

// Flat is where the laboratory keeps the present content of a disk: vSphere's
// "[datastore1] fcd/x.vmdk" is DIR/datastores/datastore1/fcd/x-flat.vmdk.
func (s *Stage) Flat(d owner.Disk) (string, error) {
	ds, file, ok := strings.Cut(strings.TrimPrefix(d.Path, "["), "] ")
	if !ok {
		return "", fmt.Errorf("disk %s lies at %q: no datastore path", d.Name, d.Path)
	}
	return s.Path("lab", "datastores", ds, strings.TrimSuffix(file, ".vmdk")+"-flat.vmdk"), nil
}

// Register puts a raw image that fill makes into a datastore's folder, with an empty
// descriptor, and registers it through the vSphere API.
func (s *Stage) Register(ctx context.Context, datastore, name string, fill func(flat string) error) (owner.Disk, error) {
	base := s.Path("lab", "datastores", datastore, name)
	if err := fill(base + "-flat.vmdk"); err != nil {
		return owner.Disk{}, err
	}
	if err := os.WriteFile(base+".vmdk", nil, 0o600); err != nil {
		return owner.Disk{}, err
	}
	return s.Owner.Register(ctx, datastore, name+".vmdk", name)
}

// MakeExt4 makes an ext4 image with the files of a folder.
func MakeExt4(ctx context.Context, image, tree string, mib int64) error {
	mkfs, err := SystemProgram("mkfs.ext4", "e2fsprogs")
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, mkfs, "-q", "-F", "-d", tree, image, fmt.Sprintf("%dM", mib)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", mkfs, err, out)
	}
	return nil
}

// CheckExt4 has e2fsck read a file system without changing it.
func CheckExt4(ctx context.Context, image string) error {
	e2fsck, err := SystemProgram("e2fsck", "e2fsprogs")
	if err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, e2fsck, "-fn", image).CombinedOutput(); err != nil {
		return fmt.Errorf("e2fsck: %w: %s", err, out)
	}
	return nil
}

// CopyExt4File writes a file into a disk's ext4 file system as its guest does: into a
// copy of the image, whose blocks that differ are then the guest's writes.
func (s *Stage) CopyExt4File(ctx context.Context, d owner.Disk, file, name string) error {
	debugfs, err := SystemProgram("debugfs", "e2fsprogs")
	if err != nil {
		return err
	}
	flat, err := s.Flat(d)
	if err != nil {
		return err
	}
	image := s.Path("next-" + filepath.Base(flat))
	if err := Copy(ctx, flat, image); err != nil {
		return err
	}
	defer func() { _ = os.Remove(image) }()
	out, err := exec.CommandContext(ctx, debugfs, "-w", "-R", "write "+file+" "+name, image).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", debugfs, err, out)
	}
	changes, err := Differences(flat, image)
	if err != nil {
		return err
	}
	part := s.Path("guest-write")
	defer func() { _ = os.Remove(part) }()
	for _, c := range changes {
		if err := cut(image, part, c); err != nil {
			return err
		}
		if err := s.guest(ctx, d, c.Offset, "--file", part); err != nil {
			return err
		}
	}
	return nil
}

// GuestWrites is a guest's write of n random bytes from a seed.
func (s *Stage) GuestWrites(ctx context.Context, d owner.Disk, offset, n int64, seed int) error {
	return s.guest(ctx, d, offset, "--random", strconv.FormatInt(n, 10), "--seed", strconv.Itoa(seed))
}

func (s *Stage) guest(ctx context.Context, d owner.Disk, offset int64, what ...string) error {
	args := append([]string{"lab", "write", "--dir", s.Path("lab"), "--disk", string(d.Ref.ID()), "--offset", strconv.FormatInt(offset, 10)}, what...)
	return s.Quietly(ctx, nil, args...)
}

// Copy copies a file and keeps its holes.
func Copy(ctx context.Context, from, to string) error {
	out, err := exec.CommandContext(ctx, "cp", "--sparse=always", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cp %s: %w: %s", from, err, out)
	}
	return nil
}

// Leftovers are snapshots of any disk and methods of any virtual machine that are
// still disabled: after a run there should be none.
func (s *Stage) Leftovers(ctx context.Context) ([]string, error) {
	found, err := s.Owner.Disabled(ctx)
	if err != nil {
		return nil, err
	}
	disks, err := s.Owner.Disks(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range disks {
		snaps, err := s.Owner.Snapshots(ctx, d.Ref)
		if err != nil {
			return nil, err
		}
		for _, snap := range snaps {
			found = append(found, "snapshot "+snap.Description+" of disk "+d.Name)
		}
	}
	return found, nil
}

// ByName is the disk of that name.
func (s *Stage) ByName(ctx context.Context, name string) (owner.Disk, error) {
	disks, err := s.Owner.Disks(ctx)
	if err != nil {
		return owner.Disk{}, err
	}
	for _, d := range disks {
		if d.Name == name {
			return d, nil
		}
	}
	return owner.Disk{}, fmt.Errorf("no disk is named %s", name)
}
