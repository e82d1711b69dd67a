package vddk

// #include "shim.h"
import "C"

import (
	"fmt"
)

// IdentityMax is how long the identity of PrepareForAccess may be.
const IdentityMax = 50

// PrepareForAccess disables RelocateVM on each VM that the disk is attached to,
// one after another. It is called before the snapshot is made. Whatever it
// returns, EndAccess must follow: it may have disabled some.
func (l *Library) PrepareForAccess(p Params, identity string) error {
	return l.accessCall(C.IVD_PREPARE, "prepare access to", p, identity)
}

// EndAccess undoes PrepareForAccess, also that of a process that is gone. It is
// called after the snapshot was deleted.
func (l *Library) EndAccess(p Params, identity string) error {
	return l.accessCall(C.IVD_END, "end access to", p, identity)
}

// Cleanup removes what a crashed process of this machine has left of HotAdd, and
// says how many disks that were and how many remain.
func (l *Library) Cleanup(p Params) (cleaned, remaining int, err error) {
	params, err := p.make(l)
	if err != nil {
		return 0, 0, err
	}
	defer C.ivd_params_free(params)
	call := newCall(C.IVD_CLEANUP, "")
	defer C.ivd_call_free(call)
	call.params = params.vix
	err = l.do(l.access, call, "clean up for "+p.String())
	return int(call.cleaned), int(call.remaining), err
}

func (l *Library) accessCall(op C.int, what string, p Params, identity string) error {
	if identity == "" || len(identity) > IdentityMax {
		return newError(what+" "+p.String(), 3, fmt.Sprintf("an identity of 1 to %d bytes is needed", IdentityMax), "")
	}
	params, err := p.make(l)
	if err != nil {
		return err
	}
	defer C.ivd_params_free(params)
	call := newCall(op, identity)
	defer C.ivd_call_free(call)
	call.params = params.vix
	return l.do(l.access, call, what+" "+p.String())
}
