package vddk

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
)

// DiskSpec names a disk of its own: no VM, no path.
type DiskSpec struct {
	ID        string // the IVD's UUID
	Datastore string // its datastore's managed object id, "datastore-52"
	Snapshot  string // a snapshot's id; empty: the live disk
}

// Params say where a disk is and who asks. All empty: a file of this machine.
// Either a disk or a VM is named, never both.
type Params struct {
	Server     string // the vCenter's name or address
	Port       uint32 // its HTTPS port; 0: 443
	NFCPort    uint32 // of the ESXi hosts; 0: 902, or what the vCenter says
	Thumbprint string // SHA-1 of the vCenter's certificate, "AA:BB:…"
	User       string
	Password   string
	Cookie     string // of a live login, instead of the password
	Disk       *DiskSpec
	VM         string // "moref=vm-12"
}

// make builds the library's struct. The caller frees it after the last use of
// what was made with it.
func (p Params) make(l *Library) (*C.struct_ivd_params, error) {
	if p.Disk != nil && !l.SupportsIVD() {
		return nil, &LoadError{
			LibDir: l.libdir, Err: errors.New("VDDK " + l.version.text + " cannot address disks of their own: it has no VixDiskLib_AllocateConnectParams"),
			Remedy: "install VDDK 6.7 or newer",
		}
	}
	c := C.ivd_params_new()
	if c == nil {
		return nil, errors.New("no memory for ConnectParams")
	}
	own := func(s string) *C.char { return C.ivd_params_own(c, C.CString(s)) }
	c.vix.vmxSpec = own(p.VM)
	c.vix.serverName = own(p.Server)
	c.vix.thumbPrint = own(p.Thumbprint)
	c.vix.port = C.uint32_t(p.Port)
	c.vix.nfcHostPort = C.uint32_t(p.NFCPort)
	switch {
	case p.Cookie != "":
		C.ivd_params_session(c, own(p.Cookie), own(p.User), own(p.Password))
	case p.User != "":
		C.ivd_params_uid(c, own(p.User), own(p.Password))
	}
	if p.Disk != nil {
		C.ivd_params_disk(c, own(p.Disk.ID), own(p.Disk.Datastore), own(p.Disk.Snapshot))
	}
	return c, nil
}

// String names what the parameters lead to, without a secret.
func (p Params) String() string {
	switch {
	case p.Disk != nil:
		s := "disk " + p.Disk.ID + " on " + p.Disk.Datastore
		if p.Disk.Snapshot != "" {
			s += " at snapshot " + p.Disk.Snapshot
		}
		return s + " of " + p.Server
	case p.VM != "":
		return "VM " + p.VM + " of " + p.Server
	case p.Server != "":
		return p.Server
	}
	return "this machine"
}
