package ivd

import (
	"context"
	"errors"
	"fmt"
)

// Kind says what a caller can do about an error. Adapters map foreign errors to a
// kind, each in one place; everything above asks KindOf. Kinds travel in messages
// by name.
type Kind string

// The kinds.
const (
	Unknown     Kind = ""            // not classified: retried, but not for ever
	Transient   Kind = "transient"   // the same call may succeed later
	Permanent   Kind = "permanent"   // the same call fails again
	Invalid     Kind = "invalid"     // what the user or the caller gave is wrong, whatever there is
	Unmet       Kind = "unmet"       // what was asked makes sense, but not with what there is now: that has to change, or the request
	NotFound    Kind = "not_found"   // definitely absent, not "could not ask"
	Exists      Kind = "exists"      // the name is taken
	Conflict    Kind = "conflict"    // somebody else was first; read again and decide anew
	Denied      Kind = "denied"      // credentials or rights
	Full        Kind = "full"        // no space, or a quota
	Locked      Kind = "locked"      // in use by somebody else: later
	Corrupt     Kind = "corrupt"     // what was read is not what was written
	Unsupported Kind = "unsupported" // a newer format, or what the other side cannot do
	Withheld    Kind = "withheld"    // a secret was refused and is not tried again yet: whoever can wait does, for as long as it takes
	Expired     Kind = "expired"     // a lease, a login or a signed request ran out
	Cancelled   Kind = "cancelled"   // somebody asked to stop
)

// Retry reports whether doing the same again, later, can help.
func (k Kind) Retry() bool {
	switch k {
	case Unknown, Transient, Locked, Conflict, Withheld, Expired:
		return true
	}
	return false
}

// Error is an error with its kind and, where there is one, what the user can do.
type Error struct {
	Kind   Kind
	Op     string // what was being done, and to what: "open disk X on datastore-12"
	Err    error  // never nil
	Remedy string // an imperative sentence without its full stop, or empty
}

func (e *Error) Error() string {
	s := e.Err.Error()
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an *Error of a kind. Op is empty; the format says it all.
func Errorf(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// KindOf is the kind of the outermost *Error in err's chain that has one;
// Cancelled for a cancelled context, Transient for a deadline; Unknown otherwise.
func KindOf(err error) Kind {
	for e := err; e != nil; {
		var x *Error
		if !errors.As(e, &x) {
			break
		}
		if x.Kind != Unknown {
			return x.Kind
		}
		e = x.Err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return Cancelled
	case errors.Is(err, context.DeadlineExceeded): // one call's own deadline
		return Transient
	}
	return Unknown
}

// RemedyOf is the outermost remedy in err's chain, or empty.
func RemedyOf(err error) string {
	for e := err; e != nil; {
		var x *Error
		if !errors.As(e, &x) {
			return ""
		}
		if x.Remedy != "" {
			return x.Remedy
		}
		e = x.Err
	}
	return ""
}

// Failure is an error as messages and records carry it.
type Failure struct {
	Kind    Kind   `json:"kind,omitempty"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
}

// FailureOf makes a Failure of err; nil of nil.
func FailureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	return &Failure{Kind: KindOf(err), Message: err.Error(), Remedy: RemedyOf(err)}
}

// Err makes an error of a Failure; nil of nil.
func (f *Failure) Err() error {
	if f == nil {
		return nil
	}
	return &Error{Kind: f.Kind, Err: errors.New(f.Message), Remedy: f.Remedy}
}
