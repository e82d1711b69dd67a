package dataport

import (
	"errors"

	"golang.org/x/sys/unix"

	"ivdmover/deploy/lab/disk"
	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

// code is one of VDDK's error numbers.
type code uint32

const (
	good         code = 0
	failed       code = 1
	noMemory     code = 2 // NFC's buffers are used up
	invalidArg   code = 3
	fileNotFound code = 4
	notSupported code = 6
	fileError    code = 7
	diskFull     code = 8
	readOnly     code = 11
	accessError  code = 13 // what a running machine holds
	locked       code = 15
	denied       code = 3014
	loginEnded   code = 3046
	noMachine    code = 4000
	noSnapshot   code = 13003 // of a machine
	connRefused  code = 14009
	badDisk      code = 16000
	outOfRange   code = 16007
	badSnapshot  code = 16008
)

// refusal is an error with the number that a client gets.
type refusal struct {
	code code
	text string
}

func (r *refusal) Error() string { return r.text }

func refuse(c code, text string) error { return &refusal{c, text} }

// codeOf is the one place where errors become VDDK's numbers.
func codeOf(err error) code {
	var r *refusal
	switch {
	case err == nil:
		return good
	case errors.As(err, &r):
		return r.code
	case errors.Is(err, estate.ErrNoSnapshot):
		return badSnapshot
	case errors.Is(err, estate.ErrInUse):
		return accessError
	case errors.Is(err, estate.ErrReadOnly):
		return readOnly
	case errors.Is(err, disk.ErrRange):
		return outOfRange
	case errors.Is(err, unix.ENOSPC):
		return diskFull
	}
	switch ivd.KindOf(err) {
	case ivd.NotFound:
		return fileNotFound
	case ivd.Locked:
		return locked
	case ivd.Invalid:
		return invalidArg
	case ivd.Unsupported:
		return notSupported
	case ivd.Denied:
		return denied
	}
	return fileError
}
