package vddk

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
)

// IdentityMax is how many bytes the identity of PrepareForAccess may have.
const IdentityMax = 50

// PrepareForAccess disables RelocateVM on each VM that the disk is attached to,
// one after another. It is called before the snapshot is made. Whatever it
// returns, EndAccess must follow: it may have disabled some. When ctx ends it is
// given up, see Connect.
//
// Implements: VixError VixDiskLib_PrepareForAccess(const VixDiskLibConnectParams *connectParams, const char *identity)
func (l *Library) PrepareForAccess(ctx context.Context, p Params, identity string) error {
	_, err := l.accessCall(ctx, C.IVD_PREPARE, "prepare access to ", p, identity)
	return err
}

// EndAccess undoes PrepareForAccess, also that of a process that is gone. It is
// called after the snapshot was deleted. When ctx ends it is given up, see Connect.
//
// Implements: VixError VixDiskLib_EndAccess(const VixDiskLibConnectParams *connectParams, const char *identity)
func (l *Library) EndAccess(ctx context.Context, p Params, identity string) error {
	_, err := l.accessCall(ctx, C.IVD_END, "end access to ", p, identity)
	return err
}

// Cleanup detaches the disks that a crashed process of this machine has left
// attached by HotAdd, and returns how many it detached and how many remain. When ctx
// ends it is given up, see Connect.
//
// Implements: VixError VixDiskLib_Cleanup(const VixDiskLibConnectParams *connectParams, uint32 *numCleanedUp, uint32 *numRemaining)
func (l *Library) Cleanup(ctx context.Context, p Params) (cleaned, remaining int, err error) {
	r, err := l.accessCall(ctx, C.IVD_CLEANUP, "clean up for ", p, "")
	return r[0], r[1], err
}

func (l *Library) accessCall(ctx context.Context, op C.int, what string, p Params, identity string) (counts [2]int, err error) {
	what += p.String()
	if op != C.IVD_CLEANUP && (identity == "" || len(identity) > IdentityMax || zero(identity)) {
		return counts, newError(what, 3, fmt.Sprintf("an identity of 1 to %d bytes is needed", IdentityMax), "")
	}
	params, err := p.make(l)
	if err != nil {
		return counts, err
	}
	c := l.newCall(op, identity)
	defer c.free()
	c.c.params = params
	err = l.access.do(c, what, ctx.Done())
	if !c.lost {
		counts = [2]int{int(c.c.cleaned), int(c.c.remaining)}
		C.ivd_params_free(params)
	}
	return counts, err
}
