package format

import (
	"fmt"
	"slices"

	"ivdmover/shared/ivd"
)

// FrameKind is what a frame holds.
type FrameKind uint8

// The kinds. DirectoryFrame is the last frame of every pack.
const (
	ChunkFrame     FrameKind = 1
	NodeFrame      FrameKind = 2
	PageFrame      FrameKind = 3
	DirectoryFrame FrameKind = 4
)

func (k FrameKind) String() string {
	switch k {
	case ChunkFrame:
		return "chunk"
	case NodeFrame:
		return "node"
	case PageFrame:
		return "page"
	case DirectoryFrame:
		return "directory"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// maxPlain is the plain content that a reader takes of a frame of this kind.
func (k FrameKind) maxPlain() int {
	if k == ChunkFrame {
		return MaxChunk
	}
	return MaxPlain
}

// What a frame costs beside its content.
const (
	FrameHeaderSize = 56
	TagSize         = 16 // room for an authentication tag; zero without a cipher
	FrameOverhead   = FrameHeaderSize + TagSize
)

const (
	frameMagic  = "IVDF"
	frameNumber = 8 // where its number stands
)

// frameHeader is a frame's header as it is stored.
type frameHeader struct {
	kind        FrameKind
	compression byte
	number      uint32 // in the pack, from 0
	plain       uint32
	stored      uint32
	id          ivd.ContentID
}

func (h frameHeader) append(b []byte) []byte {
	b = append(b, frameMagic...)
	b = append(b, Version, byte(h.kind), h.compression, 0)
	b = le.AppendUint32(b, h.number)
	b = le.AppendUint32(b, h.plain)
	b = le.AppendUint32(b, h.stored)
	b = le.AppendUint32(b, 0)
	return append(b, h.id[:]...)
}

// readFrameHeader checks all that a header can be checked for by itself, and
// that the frame is as long as the header says.
func readFrameHeader(frame []byte) (frameHeader, error) {
	var h frameHeader
	if len(frame) < FrameOverhead {
		return h, corrupt("frame of %d bytes: want at least %d", len(frame), FrameOverhead)
	}
	if string(frame[:4]) != frameMagic {
		return h, corrupt("no frame begins here: % x", frame[:4])
	}
	if err := checkVersion("frame", int(frame[4]), Version); err != nil {
		return h, err
	}
	if err := checkReserved("frame", frame[7:8]); err != nil {
		return h, err
	}
	h = frameHeader{
		kind:        FrameKind(frame[5]),
		compression: frame[6],
		number:      le.Uint32(frame[frameNumber:]),
		plain:       le.Uint32(frame[12:]),
		stored:      le.Uint32(frame[16:]),
		id:          ivd.ContentID(frame[24:56]),
	}
	if dictionary := le.Uint32(frame[20:]); dictionary != 0 {
		return h, unsupported("frame with dictionary %d, which this release does not know", dictionary)
	}
	return h, h.check(len(frame))
}

func (h frameHeader) check(length int) error {
	switch {
	case h.kind < ChunkFrame || h.kind > DirectoryFrame:
		return unsupported("frame of %s, which this release does not know", h.kind)
	case h.compression > CompressionZstd:
		return unsupported("frame with compression %d, which this release does not know", h.compression)
	case h.stored > h.plain:
		return corrupt("frame of %d bytes stored as %d", h.plain, h.stored)
	case h.compression == CompressionNone && h.stored != h.plain:
		return corrupt("uncompressed frame of %d bytes stored as %d", h.plain, h.stored)
	case int64(length) != int64(h.stored)+FrameOverhead:
		return corrupt("frame of %d bytes where its header says %d", length, int64(h.stored)+FrameOverhead)
	case int64(h.plain) > int64(h.kind.maxPlain()):
		return unsupported("%s of %d bytes: this release takes at most %d", h.kind, h.plain, h.kind.maxPlain())
	}
	return nil
}

// Frame checks a whole frame, as it lies in its pack from header to tag, and returns its
// plain content, which is known to be the one that want names. The content is put into
// dst's memory, growing it where it is too small; nothing of frame is kept. Safe for
// concurrent use with different dst.
func (o *Opener) Frame(dst, frame []byte, want ivd.ContentID) (plain []byte, err error) {
	h, err := readFrameHeader(frame)
	if err != nil {
		return nil, err
	}
	if h.id != want {
		return nil, corrupt("frame holds %s %s, want %s", h.kind, h.id, want)
	}
	return o.open(dst, frame, h)
}

func (o *Opener) open(dst, frame []byte, h frameHeader) ([]byte, error) {
	plain, err := o.plain(dst, frame, h)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", h.kind, h.id, err)
	}
	if got := o.ids.sum(plain); got != h.id {
		return nil, corrupt("%s %s: its content is %s", h.kind, h.id, ivd.ContentID(got))
	}
	return plain, nil
}

// plain is a frame's content, not yet compared with its id.
func (o *Opener) plain(dst, frame []byte, h frameHeader) ([]byte, error) {
	stored, n := frame[FrameHeaderSize:len(frame)-TagSize], int(h.plain)
	compressed := h.compression != CompressionNone
	switch c := o.cipherOf(h.kind); {
	case c != nil && compressed:
		opened, err := c.open(nil, frame)
		if err != nil {
			return nil, err
		}
		stored = opened
	case c != nil:
		return c.open(slices.Grow(dst[:0], n), frame)
	case o.sealed:
		return nil, ivd.Errorf(ivd.Invalid, "it is sealed, and its pack's key was not asked for")
	case [TagSize]byte(frame[len(frame)-TagSize:]) != [TagSize]byte{}:
		return nil, unsupported("a tag without a cipher")
	}
	if !compressed {
		return append(slices.Grow(dst[:0], n), stored...), nil
	}
	return decompress(slices.Grow(dst[:0], n)[:0:n], stored)
}
