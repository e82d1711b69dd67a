package mntapi

// #include "mntapi.h"
import "C"

import (
	"context"
	"unsafe"
)

// Volume is one of a disk set, of use until the set is closed.
type Volume struct {
	set     *DiskSet
	c       *C.VixVolume
	mounted bool // under the set's mu
}

// Info of a volume.
type Info struct {
	Type        int // 0 unknown, 1 basic, 2 GPT, 3 dynamic, 4 LVM
	Mounted     bool
	Path        string   // where it is mounted on this machine
	GuestPoints []string // where the guest has it, as far as the library knows
}

// Mount mounts the volume, read-only. Info says where.
//
// Implements: VixError VixMntapi_MountVolume(VixVolumeHandle volumeHandle, Bool readOnly)
func (v *Volume) Mount(ctx context.Context) error {
	v.set.mu.Lock()
	defer v.set.mu.Unlock()
	err := v.do(ctx, C.MNT_MOUNT, "mount a volume of disk ", nil)
	v.mounted = v.mounted || err == nil
	return err
}

// Dismount takes the volume away again; force, although files of it are open.
//
// Implements: VixError VixMntapi_DismountVolume(VixVolumeHandle volumeHandle, Bool force)
func (v *Volume) Dismount(ctx context.Context, force bool) error {
	v.set.mu.Lock()
	defer v.set.mu.Unlock()
	return v.dismount(ctx, force)
}

func (v *Volume) dismount(ctx context.Context, force bool) error {
	err := v.do(ctx, C.MNT_DISMOUNT, "dismount a volume of disk ", func(c *C.struct_mnt_call) {
		if force {
			c.force = 1
		}
	})
	v.mounted = v.mounted && err != nil
	return err
}

// do makes a call on the volume, with the set's mu held.
func (v *Volume) do(ctx context.Context, op C.int, what string, prepare func(*C.struct_mnt_call)) error {
	c := newCall(op)
	defer c.free()
	c.c.volume = v.c
	if prepare != nil {
		prepare(c.c)
	}
	return v.set.do(ctx, c, what+v.set.name)
}

// Info says what the volume is and where it is mounted.
//
// Implements: VixError VixMntapi_GetVolumeInfo(VixVolumeHandle volumeHandle, VixVolumeInfo **info), void VixMntapi_FreeVolumeInfo(VixVolumeInfo *info)
func (v *Volume) Info(ctx context.Context) (Info, error) {
	v.set.mu.Lock()
	defer v.set.mu.Unlock()
	c := newCall(C.MNT_INFO)
	defer c.free()
	c.c.volume = v.c
	if err := v.set.do(ctx, c, "read a volume's information of disk "+v.set.name); err != nil {
		return Info{}, err
	}
	info := Info{Type: int(c.c.info._type), Mounted: c.c.info.isMounted != 0, Path: textOf(c.c.texts[0])}
	if c.c.points != nil {
		for _, p := range unsafe.Slice(c.c.points, c.c.info.numGuestMountPoints) {
			info.GuestPoints = append(info.GuestPoints, textOf(p))
		}
	}
	return info, nil
}
