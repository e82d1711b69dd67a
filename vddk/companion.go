package vddk

// #include "shim.h"
import "C"

import (
	"context"
	"path/filepath"
	"unsafe"
)

// Companion gives a companion library access to this one. A companion, such as
// VixMntapi, is of the same distribution and opens and closes disks by itself.
type Companion struct {
	lib *Library
}

// Companion returns the access for a companion's binding.
func (l *Library) Companion() Companion { return Companion{lib: l} }

// Path returns the path of a file of the distribution: beside the library itself.
func (c Companion) Path(name string) string { return filepath.Join(c.lib.folder, name) }

// LibDir returns the distribution's root.
func (c Companion) LibDir() string { return c.lib.libdir }

// Do calls function, a C function of the form void (void *), with argument, on the
// thread on which disks are opened and closed: the companion's are opened and closed
// in turn with them. When ctx ends, the call is given up, see Connect. If lost is
// true, the library keeps argument for ever.
func (c Companion) Do(ctx context.Context, what string, function, argument unsafe.Pointer) (lost bool, err error) {
	call := c.lib.newCall(C.IVD_COMPANION, "")
	defer call.free()
	call.c.companion = (*[0]byte)(function)
	call.c.argument = argument
	err = c.lib.control.do(call, what, ctx.Done())
	return call.lost, err
}

// Failure returns the error of a companion's result, whose codes are the library's;
// nil for VIX_OK.
func (c Companion) Failure(op string, result uint64) error {
	if result&codeMask == 0 {
		return nil
	}
	return c.lib.failure(op, result, "")
}

// Lend returns the library's connection for a companion that opens disks on it.
// Disconnect is refused until giveBack is called, which must happen once.
func (c *Connection) Lend() (connection unsafe.Pointer, giveBack func(), err error) {
	if !c.use() {
		return nil, nil, newError("lend the connection for "+c.name, 1000, "the connection is ended", "")
	}
	return unsafe.Pointer(c.c), c.unuse, nil
}
