// Package mntapi is a binding of libvixMntapi, which mounts the volumes of a disk
// that libvixDiskLib reaches: of an IVD, by its UUID, one disk at a time, and
// read-only. It is an own library of the distribution, loaded beside VixDiskLib.
//
// It keeps its rules: a disk is named, never by NULL, which crashes the library;
// exactly one, as Linux asks for; all calls come on the thread on which VixDiskLib
// opens and closes disks; what is mounted is dismounted, and what was opened is
// closed, in order. It never writes to a disk. LVM volumes and swap cannot be
// mounted, FUSE is needed, and only one program of a machine may use the library
// for a VM at a time.
package mntapi

// #cgo CFLAGS: -std=gnu11 -O2 -Wall
// #cgo LDFLAGS: -ldl
// #include <stdlib.h>
// #include "mntapi.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"unsafe"

	"ivdmover/vddk"
)

// Library is libvixMntapi, loaded: one for the life of a process.
type Library struct {
	companion vddk.Companion
	open      atomic.Int64
}

var loaded atomic.Bool

// Load loads and initialises libvixMntapi of VixDiskLib's distribution. config is
// the configuration file that VixDiskLib has, or empty.
//
// Implements: VixError VixMntapi_Init(uint32 majorVersion, uint32 minorVersion, VixDiskLibGenericLogFunc *log, VixDiskLibGenericLogFunc *warn, VixDiskLibGenericLogFunc *panic, const char *libDir, const char *configFile)
func Load(ctx context.Context, lib *vddk.Library, config string) (*Library, error) {
	l := &Library{companion: lib.Companion()}
	path, err := find(l.companion)
	if err != nil {
		return nil, err
	}
	if loaded.Swap(true) {
		return nil, &vddk.LoadError{LibDir: l.companion.LibDir(), Err: errors.New("libvixMntapi was loaded before"), Remedy: "load it once in a process"}
	}
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	if text := C.mnt_load(cpath); text != nil {
		defer C.free(unsafe.Pointer(text))
		return nil, &vddk.LoadError{
			LibDir: l.companion.LibDir(), Err: errors.New(C.GoString(text)),
			Remedy: "install FUSE (libfuse.so.2), and unpack the distribution again if a file of its own is missing",
		}
	}
	return l, l.init(ctx, config)
}

// init gives the library texts that it may keep until Exit.
func (l *Library) init(ctx context.Context, config string) error {
	c := newCall(C.MNT_INIT)
	defer c.free()
	c.c.libdir = C.CString(l.companion.LibDir())
	if config != "" {
		c.c.config = C.CString(config)
	}
	return l.do(ctx, c, "initialise VixMntapi")
}

func find(c vddk.Companion) (string, error) {
	for major := 9; major >= 6; major-- {
		path := c.Path("libvixMntapi.so." + strconv.Itoa(major))
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path := c.Path("libvixMntapi.so.1") // its own version, in some distributions
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return "", &vddk.LoadError{LibDir: c.LibDir(), Err: errors.New("it has no libvixMntapi"), Remedy: "unpack the whole distribution: mounting needs libvixMntapi beside libvixDiskLib"}
}

// Exit ends the library's work, before VixDiskLib's. Disk sets must be closed; the
// library is left as it is where some are not.
//
// Implements: void VixMntapi_Exit(void)
func (l *Library) Exit() error {
	if n := l.open.Load(); n != 0 {
		return fmt.Errorf("end VixMntapi: %d disk sets are open", n)
	}
	c := newCall(C.MNT_EXIT)
	defer c.free()
	return l.do(context.Background(), c, "end VixMntapi")
}

// call is one call of the library, in C memory.
type call struct {
	c    *C.struct_mnt_call
	lost bool
}

func newCall(op C.int) *call {
	c := C.mnt_call_new(op)
	if c == nil {
		panic("mntapi: out of memory")
	}
	return &call{c: c}
}

func (c *call) free() {
	if !c.lost {
		C.mnt_call_free(c.c)
	}
}

// serial keeps the library's calls apart, also from one that was given up.
var serial sync.Mutex

func (l *Library) do(ctx context.Context, c *call, what string) (err error) {
	serial.Lock()
	defer serial.Unlock()
	c.lost, err = l.companion.Do(ctx, what, C.mnt_perform, unsafe.Pointer(c.c))
	if err != nil {
		return err
	}
	return l.companion.Failure(what, uint64(c.c.result))
}

func textOf(s *C.char) string {
	if s == nil {
		return ""
	}
	return C.GoString(s)
}
