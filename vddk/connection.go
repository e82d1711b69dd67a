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

// OpenFlags of Open.
type OpenFlags uint32

// The flags that are of use to IVDs. Compression (ZLib, FastLZ, SkipZ, which leaves
// zeros out) is for nbdssl only, and costs both sides CPU.
const (
	Unbuffered OpenFlags = 1
	SingleLink OpenFlags = 2
	ReadOnly   OpenFlags = 4
	ZLib       OpenFlags = 16
	FastLZ     OpenFlags = 32
	SkipZ      OpenFlags = 64
)

// Connection is a connection of the library, on which one disk is opened. It must be
// disconnected after its handles were closed.
type Connection struct {
	lib    *Library
	params *C.struct_ivd_params
	c      *C.VixConnection
	name   string
	disk   bool // a First Class Disk: Open needs no path
	gone   chan struct{}
	giveUp sync.Once

	mu      sync.Mutex
	ended   bool
	kept    bool // given up, or a handle of it: it can never be disconnected
	handles int
}

// Connect makes a connection. modes is a list such as "san:hotadd:nbdssl", of
// which the first that works is taken; empty: the library's own choice. Only Open
// shows that a password, thumbprint or disk is wrong.
//
// Implements: VixError VixDiskLib_ConnectEx(const VixDiskLibConnectParams *connectParams, Bool readOnly, const char *snapshotRef, const char *transportModes, VixDiskLibConnection *connection)
//
// snapshotRef names a VM's snapshot and is NULL otherwise: a snapshot of an IVD is
// named in its parameters, and an empty snapshotRef would rule out SAN transport.
//
// When ctx ends, the call is given up. If the library has begun it, it cannot be
// cancelled: it is left alone with the thread that makes it, see Abandoned. So ctx
// should have a deadline for this call, and not be that of a run which an operator
// may cancel.
func (l *Library) Connect(ctx context.Context, p Params, readOnly bool, modes string) (*Connection, error) {
	op := "connect for " + p.String()
	if zero(modes) {
		return nil, newError(op, 3, "the list of transports has a zero byte in it", "")
	}
	params, err := p.make(l)
	if err != nil {
		return nil, err
	}
	call := l.newCall(C.IVD_CONNECT, modes)
	defer call.free()
	call.c.params = params
	if p.VMSnapshot != "" {
		call.c.value = C.CString(p.VMSnapshot)
	}
	if readOnly {
		call.c.read_only = 1
	}
	err = l.control.do(call, op, ctx.Done())
	if err != nil {
		if !call.lost {
			C.ivd_params_free(params)
		}
		return nil, err
	}
	l.open.Add(1)
	return &Connection{
		lib: l, params: params, c: call.c.connection, name: p.String(),
		disk: p.Disk != nil, gone: make(chan struct{}),
	}, nil
}

// Disconnect ends the connection, which is not usable afterwards, whatever is
// returned. It is refused while handles are open on the connection: they would
// become invalid. It does nothing after a first Disconnect, and after Abandon of the
// connection or of one of its handles.
//
// Implements: VixError VixDiskLib_Disconnect(VixDiskLibConnection connection)
func (c *Connection) Disconnect() error {
	op := "disconnect from " + c.name
	c.mu.Lock()
	over, handles := c.ended || c.kept, c.handles
	if !over && handles == 0 {
		c.ended = true
	}
	c.mu.Unlock()
	if over {
		return nil
	}
	if handles > 0 {
		return newError(op, 3, fmt.Sprintf("%d handles are open on the connection", handles), "")
	}
	call := c.lib.newCall(C.IVD_DISCONNECT, "")
	defer call.free()
	call.c.connection, call.c.params = c.c, c.params
	err := c.lib.control.do(call, op, c.gone)
	if !errors.Is(err, ErrAbandoned) {
		C.ivd_params_free(c.params)
		c.lib.open.Add(-1)
	}
	return err
}

// Abandon gives the connection up. An Open or Disconnect under way on it returns
// ErrAbandoned. Its memory is never used again, nor freed. Abandon never waits.
func (c *Connection) Abandon() {
	c.giveUp.Do(func() {
		c.keep()
		close(c.gone)
	})
}

func (c *Connection) keep() {
	c.mu.Lock()
	c.kept = true
	c.mu.Unlock()
}

// use counts one more user of the connection, until unuse; it reports false when the
// connection is ended or given up.
func (c *Connection) use() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.kept {
		return false
	}
	c.handles++
	return true
}

func (c *Connection) unuse() {
	c.mu.Lock()
	c.handles--
	c.mu.Unlock()
}

// do makes a call about the connection on the control thread.
func (c *Connection) do(call *call, op string) error {
	if !c.use() {
		return newError(op, 1000, "the connection is ended", "")
	}
	defer c.unuse()
	call.c.connection = c.c
	err := c.lib.control.do(call, op, c.gone)
	if call.lost {
		c.keep()
	}
	return err
}

// Params returns the connection's parameters as the library has them, without
// secrets, and without a VM's snapshot, which is not one of them.
//
// Implements: VixError VixDiskLib_GetConnectParams(const VixDiskLibConnection connection, VixDiskLibConnectParams **connectParams)
func (c *Connection) Params() (Params, error) {
	call := c.lib.newCall(C.IVD_GET_PARAMS, "")
	defer call.free()
	if err := c.do(call, "parameters of the connection for "+c.name); err != nil || call.c.got == nil {
		return Params{}, err
	}
	says := &call.c.got.says
	p := Params{
		Server: textOf(says.serverName), Port: uint32(says.port), NFCPort: uint32(says.nfcHostPort),
		Thumbprint: textOf(says.thumbPrint), VM: textOf(says.vmxSpec),
	}
	switch says.credType { // both structs are unions in C: bytes in Go
	case C.VIX_CRED_UID:
		p.User = textOf(*(**C.char)(unsafe.Pointer(&says.creds)))
	case C.VIX_CRED_SESSIONID:
		p.User = textOf((*[3]*C.char)(unsafe.Pointer(&says.creds))[1])
	}
	if says.specType == C.VIX_SPEC_VSTORAGE_OBJECT {
		spec := (*C.VixVStorageObjectSpec)(unsafe.Pointer(&says.spec))
		p.Disk = &DiskSpec{ID: textOf(spec.id), Datastore: textOf(spec.datastoreMoRef), Snapshot: textOf(spec.ssId)}
	}
	return p, nil
}

// CheckRepair checks the metadata of a sparse disk, and repairs them if repair is
// true. IVDs that are not local files have none to check.
//
// Implements: VixError VixDiskLib_CheckRepair(const VixDiskLibConnection connection, const char *filename, Bool repair)
func (c *Connection) CheckRepair(file string, repair bool) error {
	op := "check " + file
	if file == "" || zero(file) {
		return newError(op, 3, "no file is named", "")
	}
	call := c.lib.newCall(C.IVD_CHECK_REPAIR, file)
	defer call.free()
	if !repair {
		call.c.read_only = 1
	}
	return c.do(call, op)
}
