package format

import (
	"fmt"
	"slices"

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

// holds tells whether a pack of this kind may hold a frame of that kind.
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
	// PackHeaderSize is where a pack's first frame begins.
	PackHeaderSize = 112
	packMagic      = "IVDPACK\x00"
	packEnd        = "IVDPEND\x00"
)

// PackHeader is what a pack says of itself.
type PackHeader struct {
	Kind       PackKind
	Repository string // a UUID
	Writer     ivd.WriterID
	Salt       [32]byte
}

func (h PackHeader) append(b []byte) []byte {
	b = append(b, packMagic...)
	b = le.AppendUint16(b, Version)
	b = append(b, byte(h.Kind), cipherNone)
	b = append(b, h.Repository...)
	b = append(b, h.Writer[:]...)
	b = append(b, h.Salt[:]...)
	return append(b, make([]byte, 16)...)
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
	if err := checkCipher("pack", b[11]); err != nil {
		return PackHeader{}, err
	}
	h := PackHeader{
		Kind:       PackKind(b[10]),
		Repository: string(b[12:48]),
		Writer:     ivd.WriterID(b[48:64]),
		Salt:       [32]byte(b[64:96]),
	}
	if h.Kind != DataPack && h.Kind != IndexPack {
		return h, corrupt("%s", h.Kind)
	}
	if u, err := uuid.Parse(h.Repository); err != nil || u.String() != h.Repository {
		return h, corrupt("pack of repository %q", h.Repository)
	}
	if [16]byte(b[96:112]) != [16]byte{} {
		return h, corrupt("pack header's reserved bytes are not zero")
	}
	return h, nil
}

// Pack is a pack that is being filled, in memory. It is not safe for concurrent
// use; one goroutine fills it, and then hands it on.
type Pack struct {
	header  PackHeader
	entries []Entry
	buf     []byte
	id      ivd.PackID // zero until it is finished
}

// NewPack begins a pack. Repository is the repository's id; salt is random and
// used for no other pack. It panics when repository is not a UUID.
func NewPack(kind PackKind, repository string, writer ivd.WriterID, salt [32]byte) *Pack {
	p := new(Pack)
	p.Reset(kind, repository, writer, salt)
	return p
}

// Reset begins another pack in the same memory. What Finish returned before is
// overwritten then.
func (p *Pack) Reset(kind PackKind, repository string, writer ivd.WriterID, salt [32]byte) {
	h := PackHeader{Kind: kind, Repository: uuid.MustParse(repository).String(), Writer: writer, Salt: salt}
	*p = Pack{header: h, entries: p.entries[:0], buf: h.append(p.buf[:0])}
}

// Add appends a frame and says where it lies; length is the whole frame's. It
// panics on misuse: content larger than MaxPlain, stored larger than plain, a
// kind that this pack does not hold, a pack that is finished or would outgrow
// MaxPackSize. A pack below PackSize takes any frame.
func (p *Pack) Add(kind FrameKind, id ivd.ContentID, plainLen int, compression byte, stored []byte) (offset, length uint32) {
	if !p.header.Kind.holds(kind) {
		panic(fmt.Sprintf("a %s holds no %s", p.header.Kind, kind))
	}
	if p.Full() || !p.id.IsZero() {
		panic(fmt.Sprintf("%s of %d bytes and %d frames takes no more", p.header.Kind, len(p.buf), len(p.entries)))
	}
	e := p.add(kind, id, plainLen, compression, stored)
	p.entries = append(p.entries, e)
	return e.Offset, e.Length
}

func (p *Pack) add(kind FrameKind, id ivd.ContentID, plainLen int, compression byte, stored []byte) Entry {
	h := frameHeader{kind: kind, compression: compression, number: uint32(len(p.entries)), plain: uint32(plainLen), stored: uint32(len(stored)), id: id}
	e := Entry{ID: id, Offset: uint32(len(p.buf)), Length: uint32(len(stored) + FrameOverhead), Plain: h.plain, Kind: kind, Compression: compression}
	if plainLen > MaxPlain || len(stored) > plainLen {
		panic(fmt.Sprintf("frame of %d bytes stored as %d", plainLen, len(stored)))
	}
	p.buf = h.append(p.buf)
	p.buf = append(p.buf, stored...)
	p.buf = append(p.buf, make([]byte, TagSize)...)
	return e
}

// Grow makes room for n bytes more, so that filling the pack copies nothing.
func (p *Pack) Grow(n int) { p.buf = slices.Grow(p.buf, n) }

// Len is the bytes so far, without the directory.
func (p *Pack) Len() int { return len(p.buf) }

// Frames is how many frames were added.
func (p *Pack) Frames() int { return len(p.entries) }

// Full tells that the pack has reached its size and is to be finished.
func (p *Pack) Full() bool { return len(p.buf) >= PackSize || len(p.entries) >= MaxFrames }

// Kind is the kind of pack that is filled.
func (p *Pack) Kind() PackKind { return p.header.Kind }

// Writer is who fills the pack.
func (p *Pack) Writer() ivd.WriterID { return p.header.Writer }

// Entries are the frames added so far, in order. The slice is the pack's own.
func (p *Pack) Entries() []Entry { return p.entries }

// Finish appends the directory and the trailer and names the pack. Body is the
// pack's memory, valid until Reset. To finish again changes nothing.
func (p *Pack) Finish() (body []byte, id ivd.PackID) {
	if p.id.IsZero() {
		dir := appendDirectory(make([]byte, 0, len(p.entries)*entrySize), p.entries)
		e := p.add(DirectoryFrame, Sum(dir), len(dir), CompressionNone, dir)
		p.buf = Trailer{Frames: uint32(len(p.entries)), Offset: e.Offset, Length: e.Length}.append(p.buf)
		p.id = PackSum(p.buf)
	}
	return p.buf, p.id
}
