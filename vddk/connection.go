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

// The flags that are of use to IVDs. Compression concerns nbdssl only, and costs
// both sides CPU; SkipZ leaves zeros out.
const (
	Unbuffered OpenFlags = 1
	SingleLink OpenFlags = 2
	ReadOnly   OpenFlags = 4
	ZLib       OpenFlags = 16
	FastLZ     OpenFlags = 32
	SkipZ      OpenFlags = 64
)

// Connection is the library's: where handles of one disk are opened. It must be
// disconnected, after its handles were closed.
type Connection struct {
	lib    *Library
	params *C.struct_ivd_params
	c      *C.VixConnection
	name   string
	disk   bool // of its own: Open needs no path
	gone   chan struct{}
	giveUp sync.Once

	mu      sync.Mutex
	ended   bool
	kept    bool // the library has something of it: it can never be disconnected
	handles int
}

// Connect makes a connection. modes is a list such as "san:hotadd:nbdssl", of
// which the first that works is taken; empty: the library's own choice. A wrong
// password, thumbprint or disk shows at Open.
//
// Implements: VixError VixDiskLib_ConnectEx(const VixDiskLibConnectParams *connectParams, Bool readOnly, const char *snapshotRef, const char *transportModes, VixDiskLibConnection *connection)
//
// snapshotRef is of VMs' snapshots and NULL else: a snapshot of an IVD is named in
// its parameters, and with an empty text in its place SAN transport is refused.
func (l *Library) Connect(p Params, readOnly bool, modes string) (*Connection, error) {
	return l.ConnectContext(context.Background(), p, readOnly, modes)
}

// ConnectContext is Connect, given up when ctx ends. A call that the library has
// begun cannot be cancelled: it is left alone with the thread that makes it, see
// Abandoned. ctx is therefore one with a deadline for this call, and not that of
// a run that somebody may cancel.
func (l *Library) ConnectContext(ctx context.Context, p Params, readOnly bool, modes string) (*Connection, error) {
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

// Disconnect ends the connection. It is not usable afterwards, whatever is
// returned, but where handles are open on it: they would become invalid, which is
// refused. After Abandon, of it or of one of its handles, and after a first
// Disconnect it does nothing.
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

// Abandon gives the connection up: an Open or Disconnect that is under way on it
// returns an error that is ErrAbandoned, and nothing of it is touched any more,
// nor freed. It never waits.
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

// use counts a handle in; it is false when the connection is of no use any more.
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

// Params are the connection's as the library has them, without its secrets and
// without a VM's snapshot, which is none of its parameters.
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

// CheckRepair checks the metadata of a sparse disk, and repairs them where repair
// says so. IVDs that are not local files have none to check.
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
