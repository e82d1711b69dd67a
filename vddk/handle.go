package vddk

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unsafe"
)

// Info is what VixDiskLib_GetInfo returns of an open disk.
type Info struct {
	Capacity           uint64 // sectors
	UUID               string // empty where the library gives none
	Parent             string // the parent's file name, as the disk has it; empty: none, or unknown
	LinkCount          int    // files in the chain, those of snapshots included
	AdapterType        int    // VixDiskLib's number: 1 IDE, 2 BusLogic, 3 LsiLogic
	LogicalSectorSize  uint32 // bytes
	PhysicalSectorSize uint32 // bytes
}

// Handle is an open disk. Its methods may be called from several goroutines at once;
// up to 32 calls are under way, the others wait for their turn.
type Handle struct {
	lib       *Library
	c         *C.VixHandle
	on        *Connection
	name      string
	info      Info
	transport string
	turns     chan struct{} // filled by the calls under way
	gone      chan struct{} // closed by Abandon
	giveUp    sync.Once

	mu     sync.RWMutex // held for reading by calls, for writing by Close
	closed bool

	stopping sync.Mutex // of worker: Close stops it, Abandon gives it up
	worker   *worker    // nil once stopped, which needs mu as well
}

// depth is how many calls on a handle are under way at once.
const depth = 32

// Open opens the disk of the connection. For an IVD the library ignores path, which
// is its UUID or empty (NULL). For a VM's disk it is the disk's path, for empty Params
// that of a file.
//
// Implements: VixError VixDiskLib_Open(const VixDiskLibConnection connection, const char *path, uint32 flags, VixDiskLibHandle *diskHandle),
// VixError VixDiskLib_GetInfo(VixDiskLibHandle diskHandle, VixDiskLibInfo **info), void VixDiskLib_FreeInfo(VixDiskLibInfo *info),
// const char *VixDiskLib_GetTransportMode(VixDiskLibHandle diskHandle)
//
// When ctx ends, the connection is given up, as by its Abandon; see Connect.
func (c *Connection) Open(ctx context.Context, path string, flags OpenFlags) (*Handle, error) {
	name := c.name
	if name == (Params{}).String() {
		name = path
	}
	if zero(path) || path == "" && !c.disk {
		return nil, newError("open "+name, 3, "a path is needed, since no First Class Disk is named", "")
	}
	defer context.AfterFunc(ctx, c.Abandon)()
	call := c.lib.newCall(C.IVD_OPEN, path)
	defer call.free()
	call.c.flags = C.uint32_t(flags)
	if err := c.do(call, "open "+name); err != nil {
		return nil, err
	}
	c.lib.audit.Do(func() { c.lib.repairSignals("the first Open") })
	h := &Handle{
		lib: c.lib, on: c, c: call.c.handle, name: name,
		turns: make(chan struct{}, depth), gone: make(chan struct{}),
		info: infoOf(call.c.opened), transport: C.GoString(&call.c.opened.transport[0]),
	}
	c.lib.open.Add(1)
	c.mu.Lock()
	c.handles++
	c.mu.Unlock()
	var err error
	if h.worker, err = startWorker(); err != nil {
		h.closed = true
		return nil, errors.Join(fmt.Errorf("open %s: %w", name, err), h.closeDisk())
	}
	return h, nil
}

func infoOf(opened *C.struct_ivd_opened) Info {
	info := Info{
		Capacity:           uint64(opened.info.capacity),
		UUID:               C.GoString(&opened.uuid[0]),
		Parent:             C.GoString(&opened.parent[0]),
		LinkCount:          int(opened.info.numLinks),
		AdapterType:        int(opened.info.adapterType),
		LogicalSectorSize:  uint32(opened.info.logicalSectorSize),
		PhysicalSectorSize: uint32(opened.info.physicalSectorSize),
	}
	if info.LogicalSectorSize == 0 { // before version 7, and from some libraries
		info.LogicalSectorSize = SectorSize
	}
	if info.PhysicalSectorSize == 0 {
		info.PhysicalSectorSize = SectorSize
	}
	return info
}

// Info returns the information of the time of Open.
func (h *Handle) Info() Info { return h.info }

// Transport returns the transport that the library chose: "nbdssl", "hotadd", "file", ….
func (h *Handle) Transport() string { return h.transport }

// Read fills buf, which must be memory of a Buffer, with the disk's content from a
// sector on. It returns when the library no longer uses buf, or after Abandon.
//
// Implements: VixError VixDiskLib_ReadAsync(VixDiskLibHandle diskHandle, VixDiskLibSectorType startSector, VixDiskLibSectorType numSectors, uint8 *readBuffer, VixDiskLibCompletionCB callback, void *cbData)
func (h *Handle) Read(buf []byte, sector uint64) error {
	return h.transfer(C.IVD_READ, "read", buf, sector)
}

// Write writes buf, which must be memory of a Buffer, from a sector on.
//
// Implements: VixError VixDiskLib_WriteAsync(VixDiskLibHandle diskHandle, VixDiskLibSectorType startSector, VixDiskLibSectorType numSectors, const uint8 *writeBuffer, VixDiskLibCompletionCB callback, void *cbData)
func (h *Handle) Write(buf []byte, sector uint64) error {
	return h.transfer(C.IVD_WRITE, "write", buf, sector)
}

func (h *Handle) transfer(op C.int, verb string, buf []byte, sector uint64) error {
	what := func() string {
		return fmt.Sprintf("%s %d sectors at %d of %s", verb, len(buf)/SectorSize, sector, h.name)
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	if err := h.usable(); err != nil {
		return err.of(what())
	}
	memory, err := borrow(buf)
	if err != nil {
		return newError(what(), 3, err.Error(), "")
	}
	c := h.lib.done.take()
	c.c.op, c.c.buffer = op, unsafe.Pointer(unsafe.SliceData(buf))
	c.c.sector, c.c.count = C.uint64_t(sector), C.uint64_t(len(buf)/SectorSize)
	ended := h.perform(c)
	if c.lost {
		memory.lose()
	} else {
		memory.giveBack()
	}
	if ended && uint64(c.c.result)&codeMask == 0 {
		h.lib.done.put(c) // it holds nothing, and freeing it would be a call into C
		return nil
	}
	defer c.free()
	if !ended {
		return abandoned(what())
	}
	return h.lib.resultOf(c, what())
}

// perform makes a call on the handle's own thread when its turn comes, and waits for
// its end. It reports whether that came before the handle was given up.
func (h *Handle) perform(c *call) bool {
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-h.gone:
		return false
	}
	c.c.handle = h.c
	if !h.lib.done.expect(c, h.gone) {
		return false
	}
	h.worker.hand(c)
	c.lost = !<-c.ended
	return !c.lost
}

// usable returns nil, or the error of a handle that was given up or closed.
func (h *Handle) usable() *Error {
	select {
	case <-h.gone:
		return abandoned("")
	default:
	}
	if h.closed {
		return newError("", 1000, "the handle is closed", "")
	}
	return nil
}

// Flush waits for the reads and writes in flight, and makes what was written durable.
//
// Implements: VixError VixDiskLib_Wait(VixDiskLibHandle diskHandle), VixError VixDiskLib_Flush(VixDiskLibHandle diskHandle)
func (h *Handle) Flush() error {
	call := h.lib.newCall(C.IVD_FLUSH, "")
	defer call.free()
	return h.do(call, "flush "+h.name)
}

// do makes a call on the handle's own thread.
func (h *Handle) do(call *call, what string) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if err := h.usable(); err != nil {
		return err.of(what)
	}
	return h.submit(call, what)
}

func (h *Handle) submit(call *call, what string) error {
	if !h.perform(call) {
		return abandoned(what)
	}
	return h.lib.resultOf(call, what)
}

// Close waits for the reads and writes in flight and closes the disk. The handle is
// not usable afterwards, whatever is returned. A second Close, and one after Abandon,
// does nothing.
//
// Implements: VixError VixDiskLib_Wait(VixDiskLibHandle diskHandle), VixError VixDiskLib_Close(VixDiskLibHandle diskHandle)
func (h *Handle) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.usable() != nil {
		h.closed = true
		return nil
	}
	h.closed = true
	call := h.lib.newCall(C.IVD_DRAIN, "")
	defer call.free()
	err := h.submit(call, "wait for "+h.name)
	if h.stop() {
		err = errors.Join(err, h.closeDisk())
	}
	return err
}

// stop ends the handle's thread. It reports false when the handle was given up.
func (h *Handle) stop() bool {
	h.stopping.Lock()
	defer h.stopping.Unlock()
	select {
	case <-h.gone:
		return false
	default:
	}
	h.worker.stop() // it is idle
	h.worker = nil
	return true
}

func (h *Handle) closeDisk() error {
	call := h.lib.newCall(C.IVD_CLOSE, "")
	defer call.free()
	call.c.handle = h.c
	op := "close " + h.name
	err := h.lib.control.do(call, op, h.gone)
	switch {
	case call.lost:
	case errors.Is(err, ErrAbandoned): // before its turn came: the disk stays open
		h.lib.lose(op)
	default:
		h.lib.open.Add(-1)
		h.on.unuse()
	}
	return err
}
