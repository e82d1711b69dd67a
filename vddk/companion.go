package vddk

// #include "shim.h"
import "C"

import (
	"context"
	"path/filepath"
	"unsafe"
)

// Companion is what a companion of the library, as VixMntapi is, may have of it: a
// library of the same distribution, which opens and closes disks by itself.
type Companion struct {
	lib *Library
}

// Companion gives access for a companion's binding.
func (l *Library) Companion() Companion { return Companion{lib: l} }

// Path is where the distribution has a file: beside the library itself.
func (c Companion) Path(name string) string { return filepath.Join(c.lib.folder, name) }

// LibDir is the distribution's root.
func (c Companion) LibDir() string { return c.lib.libdir }

// Do calls function, a C function of the form void (void *), with argument, on the
// thread on which disks are opened and closed: the companion does so, too, and one
// at a time is the rule. When ctx ends, it is given up, as by ConnectContext: then
// lost says that argument belongs to it for ever.
func (c Companion) Do(ctx context.Context, what string, function, argument unsafe.Pointer) (lost bool, err error) {
	call := c.lib.newCall(C.IVD_COMPANION, "")
	defer call.free()
	call.c.companion = (*[0]byte)(function)
	call.c.argument = argument
	err = c.lib.control.do(call, what, ctx.Done())
	return call.lost, err
}

// Failure makes the error of a companion's result: its codes are the library's.
// It is nil for VIX_OK.
func (c Companion) Failure(op string, result uint64) error {
	if result&codeMask == 0 {
		return nil
	}
	return c.lib.failure(op, result, "")
}

// Lend gives a connection to a companion that opens disks on it. Until it is given
// back, which must happen once, Disconnect is refused.
func (c *Connection) Lend() (connection unsafe.Pointer, giveBack func(), err error) {
	if !c.use() {
		return nil, nil, newError("lend the connection for "+c.name, 1000, "the connection is ended", "")
	}
	return unsafe.Pointer(c.c), c.unuse, nil
}
