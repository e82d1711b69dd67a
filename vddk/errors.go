package vddk

import (
	"fmt"
	"strings"
)

// Error is the error of a call into libvixDiskLib.
type Error struct {
	Op     string // the call and its object: "open 6f9e…"
	Code   uint64 // the VIX code: the low 16 bits of what the library returned
	Name   string // VIX_E_FILE_NOT_FOUND
	Text   string // the library's own text for the code
	Detail string // the last warning that the library logged during the call, or empty
	Class  Class
	Remedy string // what usually helps, as an imperative sentence without its full stop, or empty
	cause  error  // ErrAbandoned, or nil
}

func (e *Error) Unwrap() error { return e.cause }

func (e *Error) Error() string {
	var b strings.Builder
	if e.cause != nil {
		return e.Op + ": " + e.cause.Error()
	}
	fmt.Fprintf(&b, "%s: %s (%d)", e.Op, e.Name, e.Code)
	if e.Text != "" {
		fmt.Fprintf(&b, ": %s", e.Text)
	}
	if e.Detail != "" {
		fmt.Fprintf(&b, ": %s", e.Detail)
	}
	return b.String()
}

const codeMask = 0xffff // the other bits of a VixError may be set, and have no meaning here

// newError returns the error of a result that is not VIX_OK.
func newError(op string, result uint64, text, detail string) *Error {
	code := result & codeMask
	known, ok := codes[code]
	if !ok {
		known.name, known.class = "VIX_E_UNKNOWN", Generic
	}
	return &Error{Op: op, Code: code, Name: known.name, Text: text, Detail: detail, Class: known.class, Remedy: remedies[code]}
}

// remedies are for codes whose names mislead.
var remedies = map[uint64]string{
	1:     "compare the configured thumbprint with the vCenter's, and see the library's log lines before this one",
	13:    "look for another reader or writer of the disk, missing rights on its datastore, or no free slot for HotAdd",
	3014:  "give the user Datastore.FileManagement, and Global.DisableMethods and Global.EnableMethods at the vCenter itself",
	14009: "open port 902 from this machine to every ESXi host that sees the datastore",
	16064: "give the user Global.DisableMethods and Global.EnableMethods at the vCenter itself; a licence is rarely what is missing",
	16053: "check that libdir is the root of the VDDK distribution, and which transports this machine can use",
	20005: "call EndAccess for the disk: an earlier run has left its relocation disabled",
	30035: "compare the configured thumbprint with the server's certificate",
}

// LoadError says why the library cannot be used at all.
type LoadError struct {
	LibDir string
	Err    error
	Remedy string // an imperative sentence without its full stop
}

func (e *LoadError) Error() string {
	return fmt.Sprintf("VDDK in %q: %v", e.LibDir, e.Err)
}

func (e *LoadError) Unwrap() error { return e.Err }
