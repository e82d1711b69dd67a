package vddk

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"
)

// Info is what the library says of an open disk.
type Info struct {
	Capacity           uint64 // sectors
	UUID               string // empty where the library gives none
	LinkCount          int    // files in the chain, snapshots' among them
	AdapterType        int    // VixDiskLib's number: 1 IDE, 2 BusLogic, 3 LsiLogic
	LogicalSectorSize  uint32 // bytes
	PhysicalSectorSize uint32 // bytes
}

// Handle is an open disk. Reads and writes may be called from several goroutines
// at once; up to 32 are in flight, the rest wait their turn.
type Handle struct {
	lib       *Library
	worker    *C.struct_ivd_worker
	c         *C.VixHandle
	name      string
	info      Info
	transport string

	mu     sync.RWMutex // held for reading by calls, for writing by Close
	closed bool
}

// Open opens the disk of the connection. path is the IVD's UUID, which the
// library ignores for disks of their own, or a file's where Params were empty.
func (c *Connection) Open(path string, flags OpenFlags) (*Handle, error) {
	call := newCall(C.IVD_OPEN, path)
	defer C.ivd_call_free(call)
	call.connection = c.c
	call.flags = C.uint32_t(flags)
	name := c.name
	if name == (Params{}).String() {
		name = path
	}
	if err := c.lib.do(c.lib.control, call, "open "+name); err != nil {
		return nil, err
	}
	c.lib.audit.Do(func() { c.lib.repairSignals("the first Open") })
	h := &Handle{
		lib: c.lib, c: call.handle, name: name,
		info: infoOf(call), transport: C.GoString(&call.transport[0]),
		worker: C.ivd_worker_start(),
	}
	c.lib.open.Add(1)
	if h.worker == nil {
		return nil, errors.Join(errors.New("open "+name+": no thread to be had"), h.closeDisk())
	}
	return h, nil
}

func infoOf(call *C.struct_ivd_call) Info {
	info := Info{
		Capacity:           uint64(call.info.capacity),
		UUID:               C.GoString(&call.uuid[0]),
		LinkCount:          int(call.info.numLinks),
		AdapterType:        int(call.info.adapterType),
		LogicalSectorSize:  uint32(call.info.logicalSectorSize),
		PhysicalSectorSize: uint32(call.info.physicalSectorSize),
	}
	if info.LogicalSectorSize == 0 { // before version 7, and where a library does not care
		info.LogicalSectorSize = SectorSize
	}
	if info.PhysicalSectorSize == 0 {
		info.PhysicalSectorSize = SectorSize
	}
	return info
}

// Info is as it was at Open.
func (h *Handle) Info() Info { return h.info }

// Transport is the one that the library chose: "nbdssl", "hotadd", "file", ….
func (h *Handle) Transport() string { return h.transport }

// Read fills buf, which must come from Alloc, with the disk's content from a
// sector on. It returns when the library is done with buf.
func (h *Handle) Read(buf []byte, sector uint64) error {
	return h.transfer(C.IVD_READ, "read", buf, sector)
}

// Write writes buf, which must come from Alloc, from a sector on.
func (h *Handle) Write(buf []byte, sector uint64) error {
	return h.transfer(C.IVD_WRITE, "write", buf, sector)
}

func (h *Handle) transfer(op C.int, verb string, buf []byte, sector uint64) error {
	what := func() string {
		return fmt.Sprintf("%s %d sectors at %d of %s", verb, len(buf)/SectorSize, sector, h.name)
	}
	if err := checkBuffer(buf); err != nil {
		return newError(what(), 3, err.Error(), "")
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.closed {
		return newError(what(), 1000, "the handle is closed", "")
	}
	id, ch := h.lib.done.expect()
	data := unsafe.Pointer(unsafe.SliceData(buf))
	if C.ivd_submit_io(h.worker, op, C.uint64_t(id), h.c, C.uint64_t(sector), C.uint64_t(len(buf)/SectorSize), data) != 0 {
		h.lib.done.forget(id)
		return newError(what(), 2, "", "")
	}
	o := h.lib.done.wait(ch)
	if o.call == nil {
		return nil
	}
	defer C.ivd_call_free(o.call)
	return h.lib.failure(what(), o.result, C.GoString(o.call.warning))
}

// Flush waits for what is in flight, and then makes what was written durable.
func (h *Handle) Flush() error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.closed {
		return newError("flush "+h.name, 1000, "the handle is closed", "")
	}
	return h.call(C.IVD_FLUSH, "flush "+h.name)
}

// call makes a call on the handle's own thread.
func (h *Handle) call(op C.int, what string) error {
	call := newCall(op, "")
	defer C.ivd_call_free(call)
	call.handle = h.c
	return h.lib.do(h.worker, call, what)
}

// Close waits for what is in flight and closes the disk. It is not usable
// afterwards, whatever is returned; a second Close does nothing.
func (h *Handle) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	err := h.call(C.IVD_DRAIN, "wait for "+h.name)
	C.ivd_worker_stop(h.worker)
	return errors.Join(err, h.closeDisk())
}

func (h *Handle) closeDisk() error {
	call := newCall(C.IVD_CLOSE, "")
	defer C.ivd_call_free(call)
	call.handle = h.c
	defer h.lib.open.Add(-1)
	return h.lib.do(h.lib.control, call, "close "+h.name)
}
