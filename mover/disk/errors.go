package disk

import (
	"errors"

	"ivdmover/shared/ivd"
	"ivdmover/vddk"
)

// kinds is the one place that says what a class of VDDK's errors means for a job.
var kinds = map[vddk.Class]ivd.Kind{
	vddk.Transient:               ivd.Transient,
	vddk.TransientAfterEndAccess: ivd.Transient, // it was tried here already
	vddk.Locked:                  ivd.Locked,
	vddk.Denied:                  ivd.Denied,
	vddk.LoginExpired:            ivd.Expired,
	vddk.Fallback:                ivd.Unsupported, // no transport is left
	vddk.Gone:                    ivd.NotFound,
	vddk.Misuse:                  ivd.Permanent,
	vddk.Encrypted:               ivd.Unsupported,
	vddk.Full:                    ivd.Full,
	vddk.Generic:                 ivd.Unknown,
}

// noMemory is what a host answers whose memory for NBD is used up: it has some again
// when another disk is closed.
const noMemory = 2

// class is the library's class of an error; empty where it is none of the
// library's. A transport that the library has replaced cannot serve.
func class(err error) vddk.Class {
	var other *otherTransport
	var v *vddk.Error
	switch {
	case errors.As(err, &other):
		return vddk.Fallback
	case errors.As(err, &v):
		return v.Class
	}
	return ""
}

// code is the library's number of an error; 0 where it is none of the library's.
func code(err error) uint64 {
	var v *vddk.Error
	if errors.As(err, &v) {
		return v.Code
	}
	return 0
}

// abandoned reports whether a call was given up: the library may still be at it.
func abandoned(err error) bool { return errors.Is(err, vddk.ErrAbandoned) }

// MayHold reports whether the process may hold the disk still, although its opening or
// its use has failed: a call was given up, and the library is at it.
func MayHold(err error) bool { return abandoned(err) }

// classify gives an error of the library its kind and its remedy.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var v *vddk.Error
	var l *vddk.LoadError
	var other *otherTransport
	switch {
	case errors.As(err, &other):
		return &ivd.Error{
			Kind: ivd.Unsupported, Err: err,
			Remedy: "allow " + other.used + " in mover.vddk.transports, or see in the library's log lines why " + other.asked + " is not available",
		}
	case errors.As(err, &v) && v.Code == noMemory:
		return &ivd.Error{
			Kind: ivd.Transient, Err: err,
			Remedy: "have fewer disks open at once through that host: lower mover.handles, or the vCenter's limits.host_handles",
		}
	case errors.As(err, &v):
		return &ivd.Error{Kind: kinds[v.Class], Err: err, Remedy: v.Remedy}
	case errors.As(err, &l):
		return &ivd.Error{Kind: ivd.Invalid, Err: err, Remedy: l.Remedy}
	}
	return err
}
