package vddk

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"cmp"
	"errors"
)

// DiskSpec names a First Class Disk, without a VM or a path.
type DiskSpec struct {
	ID        string // the IVD's UUID
	Datastore string // its datastore's managed object id, "datastore-52"
	Snapshot  string // a snapshot's id; empty: the live disk
}

// Params say where a disk is and whose login is used. All empty: files of this
// machine. Either a disk or a VM is named, never both.
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
	VMSnapshot string // of the VM, "snapshot-47"; empty: the disk as it is now
}

// check refuses parameters for which the library would crash, or which it would
// misread.
func (p Params) check(l *Library) error {
	if p.Disk != nil {
		if err := l.CheckIVD(); err != nil {
			return err
		}
	}
	refuse := func(text string) error { return newError("use the parameters of "+p.String(), 3, text, "") }
	if zero(p.Server, p.Thumbprint, p.User, p.Password, p.Cookie, p.VM, p.VMSnapshot) {
		return refuse("a text has a zero byte in it")
	}
	if p.Server != "" && p.User == "" && p.Cookie == "" {
		return refuse("a server is named, but no user or cookie")
	}
	if p.Server == "" && (p.Disk != nil || p.VM != "") {
		return refuse("no server is named")
	}
	if p.VM == "" && p.VMSnapshot != "" {
		return refuse("a VM's snapshot is named, but no VM")
	}
	if p.Disk == nil {
		return nil
	}
	if p.VM != "" {
		return refuse("both a First Class Disk and a VM are named")
	}
	if p.Disk.ID == "" || p.Disk.Datastore == "" {
		return refuse("a First Class Disk needs its UUID and its datastore")
	}
	if zero(p.Disk.ID, p.Disk.Datastore, p.Disk.Snapshot) {
		return refuse("a text has a zero byte in it")
	}
	return nil
}

// make copies the parameters for the threads that call the library, which make the
// library's struct of them. The caller frees the copy after the last use, unless a
// call that uses it was given up.
func (p Params) make(l *Library) (*C.struct_ivd_params, error) {
	if err := p.check(l); err != nil {
		return nil, err
	}
	c := C.ivd_params_new()
	if c == nil {
		return nil, errors.New("no memory for ConnectParams")
	}
	own := func(s string) *C.char { return C.ivd_params_own(c, C.CString(s)) }
	c.says.vmxSpec = own(p.VM)
	c.says.serverName = own(p.Server)
	c.says.thumbPrint = own(p.Thumbprint)
	c.says.port = C.uint32_t(p.Port)
	c.says.nfcHostPort = C.uint32_t(p.NFCPort)
	// No part of a login is NULL, for which the library may crash. One space is what
	// VMware's own backup program passes as the key of a session.
	text := func(s string) *C.char { return C.ivd_params_text(c, C.CString(s)) }
	switch {
	case p.Cookie != "":
		C.ivd_params_session(c, text(p.Cookie), text(p.User), text(cmp.Or(p.Password, " ")))
	case p.User != "":
		C.ivd_params_uid(c, text(p.User), text(p.Password))
	}
	if p.Disk != nil {
		C.ivd_params_disk(c, own(p.Disk.ID), own(p.Disk.Datastore), own(p.Disk.Snapshot))
	}
	return c, nil
}

// String names the disk, VM or server, without a secret.
func (p Params) String() string {
	switch {
	case p.Disk != nil:
		s := "disk " + p.Disk.ID + " on " + p.Disk.Datastore
		if p.Disk.Snapshot != "" {
			s += " at snapshot " + p.Disk.Snapshot
		}
		return s + " of " + p.Server
	case p.VM != "":
		s := "VM " + p.VM
		if p.VMSnapshot != "" {
			s += " at " + p.VMSnapshot
		}
		return s + " of " + p.Server
	case p.Server != "":
		return p.Server
	}
	return "this machine"
}
