package vddk

// #include "shim.h"
import "C"

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
}

// Connect makes a connection. modes is a list such as "san:hotadd:nbdssl", of
// which the first that works is taken; empty: the library's own choice. A wrong
// password, thumbprint or disk shows at Open.
func (l *Library) Connect(p Params, readOnly bool, modes string) (*Connection, error) {
	params, err := p.make(l)
	if err != nil {
		return nil, err
	}
	call := newCall(C.IVD_CONNECT, modes)
	defer C.ivd_call_free(call)
	call.params = params.vix
	if readOnly {
		call.read_only = 1
	}
	if err := l.do(l.control, call, "connect for "+p.String()); err != nil {
		C.ivd_params_free(params)
		return nil, err
	}
	l.open.Add(1)
	return &Connection{lib: l, params: params, c: call.connection, name: p.String()}, nil
}

// Disconnect ends the connection. It is not usable afterwards, whatever is
// returned.
func (c *Connection) Disconnect() error {
	call := newCall(C.IVD_DISCONNECT, "")
	defer C.ivd_call_free(call)
	call.connection = c.c
	err := c.lib.do(c.lib.control, call, "disconnect from "+c.name)
	C.ivd_params_free(c.params)
	c.params, c.c = nil, nil
	c.lib.open.Add(-1)
	return err
}
