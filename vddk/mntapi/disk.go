package mntapi

// #include "mntapi.h"
import "C"

import (
	"context"
	"errors"
	"strings"
	"sync"
	"unsafe"

	"ivdmover/vddk"
)

// DiskSet is one disk whose volumes can be mounted. It must be closed. Its methods
// may be called from several goroutines.
type DiskSet struct {
	lib      *Library
	name     string
	set      *C.VixDiskSet
	path     string
	giveBack func()

	mu      sync.Mutex
	closed  bool
	lost    bool // a call was given up: the library keeps the set
	handles **C.VixVolume
	volumes []*Volume
}

// OpenDisk opens the disk of a connection by its UUID, read-only. Until Close the
// connection cannot be disconnected.
//
// Implements: VixError VixMntapi_OpenDisks(VixDiskLibConnection connection, const char *diskNames[], size_t numberOfDisks, uint32 openFlags, VixDiskSetHandle *handle),
// VixError VixMntapi_GetDiskSetInfo(VixDiskSetHandle handle, VixDiskSetInfo **diskSetInfo)
func (l *Library) OpenDisk(ctx context.Context, on *vddk.Connection, uuid string) (*DiskSet, error) {
	if uuid == "" || strings.ContainsRune(uuid, 0) {
		return nil, errors.New("open a disk's volumes: its UUID is needed, since the library crashes without a name")
	}
	connection, giveBack, err := on.Lend()
	if err != nil {
		return nil, err
	}
	c := newCall(C.MNT_OPEN)
	defer c.free()
	c.c.connection = connection
	c.c.disk = C.CString(uuid)
	c.c.flags = C.uint32_t(vddk.ReadOnly)
	if err := l.do(ctx, c, "open the volumes of disk "+uuid); err != nil {
		if c.lost {
			on.Abandon()
		} else {
			giveBack()
		}
		return nil, err
	}
	l.open.Add(1)
	return &DiskSet{lib: l, name: uuid, set: c.c.set, path: textOf(c.c.texts[0]), giveBack: giveBack}, nil
}

// Path is where the library has put the disk together, or empty.
func (s *DiskSet) Path() string { return s.path }

// OS is the guest's operating system.
type OS struct {
	Family       int // 0 none, 1 Windows, 255 another
	Major, Minor uint32
	Is64         bool
	Vendor       string
	Edition      string
	Folder       string // where it is on its volume
}

// OS says which operating system is on the disk. It mounts what it looks at.
//
// Implements: VixError VixMntapi_GetOsInfo(VixDiskSetHandle handle, VixOsInfo **info), void VixMntapi_FreeOsInfo(VixOsInfo *info)
func (s *DiskSet) OS(ctx context.Context) (OS, error) {
	c := newCall(C.MNT_OS)
	defer c.free()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.do(ctx, c, "read the operating system of disk "+s.name); err != nil {
		return OS{}, err
	}
	os := &c.c.os
	return OS{
		Family: int(os.family), Major: uint32(os.majorVersion), Minor: uint32(os.minorVersion), Is64: os.osIs64Bit != 0,
		Vendor: textOf(c.c.texts[0]), Edition: textOf(c.c.texts[1]), Folder: textOf(c.c.texts[2]),
	}, nil
}

// Volumes are the disk's that the library can mount.
//
// Implements: VixError VixMntapi_GetVolumeHandles(VixDiskSetHandle handle, size_t *numberOfVolumes, VixVolumeHandle *volumeHandles[])
func (s *DiskSet) Volumes(ctx context.Context) ([]*Volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handles != nil {
		return s.volumes, nil
	}
	c := newCall(C.MNT_VOLUMES)
	defer c.free()
	if err := s.do(ctx, c, "list the volumes of disk "+s.name); err != nil {
		return nil, err
	}
	if s.handles = c.c.volumes; s.handles == nil {
		return nil, nil
	}
	for _, v := range unsafe.Slice(c.c.volumes, c.c.count) {
		s.volumes = append(s.volumes, &Volume{set: s, c: v})
	}
	return s.volumes, nil
}

// do makes a call on the set, with mu held.
func (s *DiskSet) do(ctx context.Context, c *call, what string) error {
	if s.closed || s.lost {
		return errors.New(what + ": the disk set is closed")
	}
	c.c.set = s.set
	err := s.lib.do(ctx, c, what)
	s.lost = s.lost || c.lost
	return err
}

// Close dismounts what is mounted, frees the volumes, and closes the disk. A second
// Close does nothing.
//
// Implements: void VixMntapi_FreeVolumeHandles(VixVolumeHandle *volumeHandles), VixError VixMntapi_CloseDiskSet(VixDiskSetHandle diskSet)
func (s *DiskSet) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.lost {
		return nil
	}
	var all error
	for i := len(s.volumes) - 1; i >= 0; i-- {
		if v := s.volumes[i]; v.mounted {
			all = errors.Join(all, v.dismount(ctx, true))
		}
	}
	c := newCall(C.MNT_CLOSE)
	defer c.free()
	c.c.volumes = s.handles
	err := s.do(ctx, c, "close the volumes of disk "+s.name)
	s.closed = true
	if !s.lost {
		s.lib.open.Add(-1)
		s.giveBack()
	}
	return errors.Join(all, err)
}
