// Package format is the repository's bytes: packs with their frames, nodes,
// pages, and the records (points, leases, lists) beside them. docs/format.md
// describes the same in tables.
//
// It is pure: bytes in, bytes out; no I/O, no clock, no randomness. What it
// decodes comes from a bucket and is not trusted: every length is checked before
// it is believed, a decoder never panics and never allocates more than a constant
// and a multiple of its input. Encoding is deterministic, so equal content has an
// equal id. Damage is an error of kind ivd.Corrupt. What is only not known here (a
// version, a kind, a cipher, any reserved byte) is no damage: ivd.Unsupported.
package format

import (
	"encoding/binary"
	"fmt"

	"ivdmover/shared/ivd"
)

// Version is the version of packs, frames, nodes and pages that is written here,
// and the newest one that is read.
const Version = 1

// What a reader takes; more is refused as unsupported. Writers make less.
const (
	MaxPackSize = 1 << 30
	MaxFrames   = 1 << 19  // of a pack; its directory then fits a frame
	MaxPlain    = 32 << 20 // of a frame: plain content, and stored content too
	MaxChunk    = ivd.MaxChunkSize
)

// How large writers make packs.
const (
	PackSize        = 16 << 20  // where repo.json says nothing else
	LargestPackSize = 256 << 20 // that repo.json may say
)

// How a pack's name and the ids in it are made. The name is always BLAKE3-256.
const (
	hashBLAKE3 = 1 // ids: BLAKE3-256
	hashKeyed  = 2 // ids: BLAKE3-256 with the domain's id key
)

var le = binary.LittleEndian

func corrupt(format string, args ...any) error { return ivd.Errorf(ivd.Corrupt, format, args...) }

// unsupported is the error of what is not known here. It is never taken for
// damage: nothing is retired, taken as lost or deleted because of it.
func unsupported(format string, args ...any) error {
	return &ivd.Error{
		Kind:   ivd.Unsupported,
		Err:    fmt.Errorf(format, args...),
		Remedy: "use a release of ivd that knows this format",
	}
}

// checkVersion refuses every version but those that are known here.
func checkVersion(what string, version, newest int) error {
	switch {
	case version == 0:
		return unsupported("%s of version 0, which this release does not know", what)
	case version > newest:
		return unsupported("%s: version %d is newer than this release, which reads up to %d", what, version, newest)
	}
	return nil
}

func checkCipher(what string, c Cipher) error {
	if c != CipherNone && c != CipherAES {
		return unsupported("%s with cipher %d, which this release does not know", what, c)
	}
	return nil
}

// checkReserved refuses bytes that are kept for later versions and are not zero.
func checkReserved(what string, reserved []byte) error {
	for _, b := range reserved {
		if b != 0 {
			return unsupported("%s: reserved bytes % x, which this release does not know", what, reserved)
		}
	}
	return nil
}
