package format

import (
	"fmt"

	"github.com/google/uuid"

	"ivdmover/shared/ivd"
)

// PackKind says what a pack's frames are. The two kinds lie under different
// names, so that data packs can go to a colder class of storage.
type PackKind uint8

// The kinds.
const (
	DataPack  PackKind = 1 // frames of chunks
	IndexPack PackKind = 2 // frames of nodes and pages
)

func (k PackKind) String() string {
	switch k {
	case DataPack:
		return "data pack"
	case IndexPack:
		return "index pack"
	}
	return fmt.Sprintf("pack of kind %d", uint8(k))
}

// holds reports whether a pack of this kind may hold a frame of that kind.
func (k PackKind) holds(f FrameKind) bool {
	switch k {
	case DataPack:
		return f == ChunkFrame
	case IndexPack:
		return f == NodeFrame || f == PageFrame
	}
	return false
}

const (
	// PackHeaderSize is the bytes of a pack's header.
	PackHeaderSize = 96
	// SealedKeySize is the bytes of a frame key that is sealed to a data key; it lies
	// between the header and the first frame of an encrypted data pack.
	SealedKeySize = 1168
	packMagic     = "IVDPACK\x00"
	packEnd       = "IVDPEND\x00"
)

// PackHeader is what a pack says of itself.
type PackHeader struct {
	Kind       PackKind
	Cipher     Cipher
	Repository string // a UUID
	Domain     ivd.DomainID
	Writer     ivd.WriterID
	Nonce      ivd.Nonce // random, and no other pack's
	DataKey    ivd.KeyID // what the frame key of an encrypted data pack is sealed to; else zero
}

// Size is where the pack's first frame begins.
func (h PackHeader) Size() int {
	if h.sealedKey() {
		return PackHeaderSize + SealedKeySize
	}
	return PackHeaderSize
}

// sealedKey reports whether a sealed frame key follows the header.
func (h PackHeader) sealedKey() bool { return h.Kind == DataPack && h.Cipher != CipherNone }

func (h PackHeader) append(b []byte) []byte {
	repository := uuid.MustParse(h.Repository)
	b = append(b, packMagic...)
	b = le.AppendUint16(b, Version)
	b = append(b, byte(h.Kind), byte(h.Cipher), h.Cipher.hash(), 0, 0, 0)
	b = append(b, repository[:]...)
	b = append(b, h.Domain[:]...)
	b = append(b, h.Writer[:]...)
	b = append(b, h.Nonce[:]...)
	return append(b, h.DataKey[:]...)
}

// ReadPackHeader reads a pack's first PackHeaderSize bytes.
func ReadPackHeader(b []byte) (PackHeader, error) {
	if len(b) < PackHeaderSize {
		return PackHeader{}, corrupt("pack of %d bytes: want at least %d", len(b), PackHeaderSize)
	}
	if string(b[:8]) != packMagic {
		return PackHeader{}, corrupt("not a pack: it begins with % x", b[:8])
	}
	if err := checkVersion("pack", int(le.Uint16(b[8:])), Version); err != nil {
		return PackHeader{}, err
	}
	h := PackHeader{
		Kind:       PackKind(b[10]),
		Cipher:     Cipher(b[11]),
		Repository: uuid.UUID(b[16:32]).String(),
		Domain:     ivd.DomainID(b[32:48]),
		Writer:     ivd.WriterID(b[48:64]),
		Nonce:      ivd.Nonce(b[64:80]),
		DataKey:    ivd.KeyID(b[80:96]),
	}
	if err := checkCipher("pack", h.Cipher); err != nil {
		return h, err
	}
	if h.Kind != DataPack && h.Kind != IndexPack {
		return h, unsupported("%s, which this release does not know", h.Kind)
	}
	if b[12] != h.Cipher.hash() {
		return h, unsupported("pack with cipher %d and hash %d, which this release does not know", h.Cipher, b[12])
	}
	if err := checkReserved("pack header", b[13:16]); err != nil {
		return h, err
	}
	switch {
	case h.sealedKey() && h.DataKey.IsZero():
		return h, corrupt("encrypted data pack without a data key")
	case !h.sealedKey() && !h.DataKey.IsZero():
		return h, unsupported("%s with cipher %d and data key %s, which this release does not know", h.Kind, h.Cipher, h.DataKey)
	}
	return h, nil
}

// Pack is a pack that is being filled, in memory. It is not safe for concurrent
// use; one goroutine fills it, and then hands it on.
type Pack struct {
	header  PackHeader
	keys    *WriterKeys
	opener  *Opener // what opens it: its ciphers seal too
	entries []Entry
	buf     []byte
	id      ivd.PackID // zero until it is finished
}

// NewPack begins a pack that is sealed with a writer's keys; nil in a plain repository.
// It panics when the header's repository is not a UUID, or the keys are not those that
// the header says.
func NewPack(h PackHeader, keys *WriterKeys) *Pack {
	p := new(Pack)
	p.Reset(h, keys)
	return p
}

// Reset begins another pack in the same memory. What Finish returned before is
// overwritten then.
func (p *Pack) Reset(h PackHeader, keys *WriterKeys) {
	*p = Pack{header: h, keys: keys, opener: keys.opener(h), entries: p.entries[:0], buf: h.append(p.buf[:0])}
	if h.sealedKey() {
		p.buf = append(p.buf, keys.SealedFrame[:]...)
	}
}

// Add appends a frame and returns where it lies; length is the whole frame's. It
// panics on misuse: content larger than a reader takes, stored larger than plain, a
// kind that this pack does not hold, a pack that is finished or would outgrow
// MaxPackSize.
func (p *Pack) Add(kind FrameKind, id ivd.ContentID, plainLen int, compression byte, stored []byte) (offset, length uint32) {
	if !p.header.Kind.holds(kind) {
		panic(fmt.Sprintf("a %s holds no %s", p.header.Kind, kind))
	}
	end := len(p.buf) + len(stored) + (len(p.entries)+1)*entrySize + 2*FrameOverhead + TrailerSize
	if end > MaxPackSize || len(p.entries) == MaxFrames || !p.id.IsZero() {
		panic(fmt.Sprintf("%s of %d bytes and %d frames takes no more", p.header.Kind, len(p.buf), len(p.entries)))
	}
	e := p.add(kind, id, plainLen, compression, stored)
	p.entries = append(p.entries, e)
	return e.Offset, e.Length
}

func (p *Pack) add(kind FrameKind, id ivd.ContentID, plainLen int, compression byte, stored []byte) Entry {
	h := frameHeader{kind: kind, compression: compression, number: uint32(len(p.entries)), plain: uint32(plainLen), stored: uint32(len(stored)), id: id}
	e := Entry{ID: id, Offset: uint32(len(p.buf)), Length: uint32(len(stored) + FrameOverhead), Plain: h.plain, Kind: kind, Compression: compression}
	if plainLen > kind.maxPlain() || len(stored) > plainLen {
		panic(fmt.Sprintf("frame of %d bytes stored as %d", plainLen, len(stored)))
	}
	p.buf = h.append(p.buf)
	p.buf = append(p.buf, stored...)
	p.buf = append(p.buf, make([]byte, TagSize)...)
	if c := p.opener.cipherOf(kind); c != nil {
		c.seal(p.buf[e.Offset:])
	}
	return e
}

// Grow makes room for n bytes more, so that filling the pack copies nothing. Memory that
// is not filled is not touched either: slices.Grow clears it.
func (p *Pack) Grow(n int) {
	if cap(p.buf)-len(p.buf) < n {
		p.buf = append(make([]byte, 0, len(p.buf)+n), p.buf...)
	}
}

// Len is the bytes so far, without the directory.
func (p *Pack) Len() int { return len(p.buf) }

// Frames is how many frames were added.
func (p *Pack) Frames() int { return len(p.entries) }

// Header is the header of the pack that is filled.
func (p *Pack) Header() PackHeader { return p.header }

// Entries are the frames added so far, in order. The slice is the pack's own.
func (p *Pack) Entries() []Entry { return p.entries }

// Finish appends the directory and the trailer and names the pack. Body is the
// pack's memory, valid until Reset. To finish again changes nothing.
func (p *Pack) Finish() (body []byte, ref ivd.PackRef) {
	if p.id.IsZero() {
		dir := appendDirectory(make([]byte, 0, len(p.entries)*entrySize), p.entries)
		e := p.add(DirectoryFrame, p.opener.ids.sum(dir), len(dir), CompressionNone, dir)
		p.buf = p.keys.trailer(p.buf, Trailer{Frames: uint32(len(p.entries)), Offset: e.Offset, Length: e.Length})
		p.id = PackSum(p.buf)
	}
	return p.buf, ivd.PackRef{Pack: p.id, Writer: p.header.Writer, Nonce: p.header.Nonce}
}

// Check opens frames of a pack that is finished, as they lie in its memory: of so many
// one, and which ones the first says. Kind Corrupt: a frame is not what was added; then
// the pack is worth nothing, and is not to be stored.
func (p *Pack) Check(oneOf, first int) error {
	var plain []byte
	for n := first % oneOf; n < len(p.entries); n += oneOf {
		e := p.entries[n]
		var err error
		if plain, err = p.opener.Entry(plain, p.buf[e.Offset:][:e.Length], p.header.Kind, e, n); err != nil {
			return fmt.Errorf("a frame of a new pack cannot be opened: %w", err)
		}
	}
	return nil
}
