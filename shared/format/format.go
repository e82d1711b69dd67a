// Package format is the repository's bytes: packs with their frames, nodes,
// pages, and the records (points, leases, lists) beside them. docs/format.md
// describes the same in tables.
//
// It is pure: bytes in, bytes out; no I/O, no clock, no randomness. What it
// decodes comes from a bucket and is not trusted: every length is checked before
// it is believed, a decoder never panics and never allocates more than a constant
// and a multiple of its input. Encoding is deterministic, so equal content has an
// equal id. Damage is an error of kind ivd.Corrupt, a newer version or a cipher
// that is not known here one of kind ivd.Unsupported.
package format

import (
	"encoding/binary"
	"fmt"

	"ivdmover/shared/ivd"
)

// Version is the version of packs, frames, nodes and pages that is written here,
// and the newest one that is read.
const Version = 1

// Sizes that bound every buffer.
const (
	PackSize    = 16 << 20 // a pack is finished when it has reached this
	MaxPackSize = 64 << 20 // a larger object is not a pack
	MaxPlain    = 16 << 20 // of a frame: plain content, and stored content too
	MaxFrames   = 1 << 18  // of a pack; its directory then fits a frame
)

// cipherNone is the null cipher's byte: content is stored in the clear and the
// room for tags is zero.
const cipherNone = 0

var le = binary.LittleEndian

func corrupt(format string, args ...any) error { return ivd.Errorf(ivd.Corrupt, format, args...) }

// checkVersion refuses what is newer by name, and what cannot be as damage.
func checkVersion(what string, version, newest int) error {
	switch {
	case version == 0:
		return corrupt("%s of version 0", what)
	case version > newest:
		return &ivd.Error{
			Kind:   ivd.Unsupported,
			Op:     what,
			Err:    fmt.Errorf("version %d is newer than this release, which reads up to %d", version, newest),
			Remedy: "use a release of ivd that knows this format",
		}
	}
	return nil
}

func checkCipher(what string, cipher byte) error {
	if cipher != cipherNone {
		return ivd.Errorf(ivd.Unsupported, "%s with cipher %d: this release reads plain repositories only", what, cipher)
	}
	return nil
}
