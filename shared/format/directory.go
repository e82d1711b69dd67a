package format

import (
	"crypto/ed25519"
	"fmt"

	"ivdmover/shared/ivd"
)

// Entry is a frame as a pack's directory names it.
type Entry struct {
	ID          ivd.ContentID
	Offset      uint32 // in the pack
	Length      uint32 // of the whole frame
	Plain       uint32 // bytes of plain content
	Kind        FrameKind
	Compression byte
}

const entrySize = 48

func appendDirectory(b []byte, entries []Entry) []byte {
	for _, e := range entries {
		b = append(b, e.ID[:]...)
		b = le.AppendUint32(b, e.Offset)
		b = le.AppendUint32(b, e.Length)
		b = le.AppendUint32(b, e.Plain)
		b = append(b, byte(e.Kind), e.Compression, 0, 0)
	}
	return b
}

// Trailer is a pack's end: where its directory lies. Before its fields is the room
// for the writer's signature, which is not made in a plain repository.
type Trailer struct {
	Frames uint32 // entries of the directory
	Offset uint32 // of the directory's frame
	Length uint32 // of the directory's frame
}

// TrailerSize is the bytes of a pack's trailer: the room for a signature, and the
// fields.
const (
	TrailerSize   = signatureSize + trailerFields
	signatureSize = 64
	trailerFields = 32
)

// The algorithms of signatures. Algorithm 2 is kept for Ed25519 and ML-DSA-65, both.
const (
	signatureNone    = 0
	signatureEd25519 = 1
)

const trailerMagic = "IVDT"

// append appends the trailer's fields.
func (t Trailer) append(b []byte, algorithm byte) []byte {
	b = append(b, trailerMagic...)
	b = append(b, Version, algorithm, 0, 0)
	b = le.AppendUint32(b, t.Frames)
	b = le.AppendUint32(b, t.Offset)
	b = le.AppendUint32(b, t.Length)
	b = le.AppendUint32(b, signatureSize)
	return append(b, packEnd...)
}

// ReadTrailer reads the last TrailerSize bytes of a pack that is size bytes long,
// so that its directory can be read with one more request. C is how packs are sealed
// where it lies: there, and nowhere else, they are signed.
func ReadTrailer(b []byte, size int64, c Cipher) (Trailer, error) {
	if len(b) != TrailerSize || size < PackHeaderSize+FrameOverhead+TrailerSize {
		return Trailer{}, corrupt("pack of %d bytes with %d bytes of trailer", size, len(b))
	}
	signature, b := b[:signatureSize], b[signatureSize:]
	if string(b[:4]) != trailerMagic || string(b[24:]) != packEnd {
		return Trailer{}, corrupt("pack without a trailer: it is cut off, or no pack")
	}
	if err := checkVersion("pack trailer", int(b[4]), Version); err != nil {
		return Trailer{}, err
	}
	if err := checkReserved("pack trailer", b[6:8]); err != nil {
		return Trailer{}, err
	}
	switch algorithm := b[5]; {
	case algorithm == signatureNone && c != CipherNone:
		return Trailer{}, corrupt("pack without a signature, in an encrypted repository")
	case algorithm == signatureNone:
		if err := checkReserved("pack without a signature algorithm", signature); err != nil {
			return Trailer{}, err
		}
	case algorithm != signatureEd25519 || c == CipherNone:
		return Trailer{}, unsupported("pack with cipher %d and signature algorithm %d, which this release does not know", c, algorithm)
	}
	t := Trailer{Frames: le.Uint32(b[8:]), Offset: le.Uint32(b[12:]), Length: le.Uint32(b[16:])}
	room := le.Uint32(b[20:])
	switch {
	case room != signatureSize:
		return t, corrupt("pack with a signature of %d bytes, want %d", room, signatureSize)
	case int64(t.Length) != int64(t.Frames)*entrySize+FrameOverhead:
		return t, corrupt("directory of %d frames in %d bytes", t.Frames, t.Length)
	case t.Offset < PackHeaderSize || int64(t.Offset)+int64(t.Length)+TrailerSize != size:
		return t, corrupt("directory at %d+%d in a pack of %d bytes", t.Offset, t.Length, size)
	case size > MaxPackSize || t.Frames > MaxFrames:
		return t, unsupported("pack of %d bytes and %d frames: this release takes at most %d and %d", size, t.Frames, MaxPackSize, MaxFrames)
	}
	return t, nil
}

// check refuses what is not known of an entry.
func (e Entry) check(reserved []byte) error {
	switch {
	case e.Kind == DirectoryFrame:
		return corrupt("a directory among the frames")
	case e.Kind < ChunkFrame || e.Kind > DirectoryFrame:
		return unsupported("frame of %s, which this release does not know", e.Kind)
	case e.Compression > CompressionZstd:
		return unsupported("frame with compression %d, which this release does not know", e.Compression)
	}
	return checkReserved("frame", reserved)
}

// Directory opens the directory's frame, which the trailer says where to read. Its
// frames follow each other without a gap from header to directory.
func (o *Opener) Directory(frame []byte, t Trailer) ([]Entry, error) {
	h, err := readFrameHeader(frame)
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	if h.kind != DirectoryFrame || h.compression != CompressionNone || h.number != t.Frames || int64(h.plain) != int64(t.Frames)*entrySize {
		return nil, corrupt("directory of %d frames: found a %s frame, number %d, of %d bytes", t.Frames, h.kind, h.number, h.plain)
	}
	b, err := o.open(nil, frame, h)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, t.Frames)
	next := o.firstFrame()
	for ; len(b) > 0; b = b[entrySize:] {
		e := Entry{
			ID:          ivd.ContentID(b[:32]),
			Offset:      le.Uint32(b[32:]),
			Length:      le.Uint32(b[36:]),
			Plain:       le.Uint32(b[40:]),
			Kind:        FrameKind(b[44]),
			Compression: b[45],
		}
		if err := e.check(b[46:48]); err != nil {
			return nil, fmt.Errorf("directory entry %d: %w", len(entries), err)
		}
		if int64(e.Offset) != next || e.Length < FrameOverhead {
			return nil, corrupt("directory entry %d: a frame at %d+%d, want it at %d", len(entries), e.Offset, e.Length, next)
		}
		next += int64(e.Length)
		entries = append(entries, e)
	}
	if next != int64(t.Offset) {
		return nil, corrupt("directory at %d after frames that end at %d", t.Offset, next)
	}
	return entries, nil
}

// DecodePack checks everything of a whole pack: header, trailer, directory, and every
// frame's content against its id. Open makes what opens a pack with that header; nil:
// a plain repository's. It does not check the pack's own id, which is PackSum of the
// same bytes, nor its signature.
func DecodePack(body []byte, open func(PackHeader) (*Opener, error)) (PackHeader, []Entry, error) {
	if open == nil {
		open = func(h PackHeader) (*Opener, error) { return Suite{}.Opener(h, nil) }
	}
	h, err := ReadPackHeader(body)
	if err != nil {
		return h, nil, err
	}
	o, err := open(h)
	if err != nil {
		return h, nil, err
	}
	if len(body) < h.Size()+FrameOverhead+TrailerSize {
		return h, nil, corrupt("pack of %d bytes: it is cut off", len(body))
	}
	t, err := ReadTrailer(body[len(body)-TrailerSize:], int64(len(body)), h.Cipher)
	if err != nil {
		return h, nil, err
	}
	entries, err := o.Directory(body[t.Offset:t.Offset+t.Length], t)
	if err != nil {
		return h, nil, err
	}
	var plain []byte
	for i, e := range entries {
		if plain, err = o.Entry(plain, body[e.Offset:e.Offset+e.Length], h.Kind, e, i); err != nil {
			return h, nil, err
		}
	}
	return h, entries, nil
}

// Entry checks a whole frame of a pack of that kind, which the pack's directory names as
// its number-th, and returns its content as Frame does. Kind Corrupt, too: it is not what
// the directory says.
func (o *Opener) Entry(dst, frame []byte, kind PackKind, e Entry, number int) ([]byte, error) {
	h, err := readFrameHeader(frame)
	if err != nil {
		return nil, fmt.Errorf("frame %d: %w", number, err)
	}
	if !kind.holds(h.kind) || h.kind != e.Kind || h.compression != e.Compression || h.plain != e.Plain || h.id != e.ID || h.number != uint32(number) {
		return nil, corrupt("frame %d is not what the directory says: %s %s", number, h.kind, h.id)
	}
	if dst, err = o.open(dst, frame, h); err != nil {
		return nil, fmt.Errorf("frame %d: %w", number, err)
	}
	return dst, nil
}

// VerifyPack checks a pack's signature by its header, its directory's frame and its
// trailer, all as they are stored; writer is the key of the writer that the header
// names. Kind Corrupt: it is not that writer's.
func VerifyPack(header, directory, trailer []byte, writer ed25519.PublicKey) error {
	if len(header) != PackHeaderSize || len(trailer) != TrailerSize || trailer[signatureSize+5] != signatureEd25519 {
		return corrupt("pack without a signature")
	}
	if !ed25519.Verify(writer, signedOf(header, directory, trailer[signatureSize:]), trailer[:signatureSize]) {
		return corrupt("the signature is not that of the pack's writer")
	}
	return nil
}
