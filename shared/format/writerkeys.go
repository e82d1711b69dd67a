package format

import (
	"crypto/ed25519"

	"ivdmover/shared/ivd"
)

// WriterKeys are what one writer seals and signs its packs with. A nil one is a plain
// repository's. It does not change, and is safe for concurrent use.
type WriterKeys struct {
	Suite       Suite
	Frame       ivd.Key             // of this writer's chunks
	DataKey     ivd.KeyID           // what the frame key was sealed to
	SealedFrame [SealedKeySize]byte // the frame key, sealed to it
	Sign        ed25519.PrivateKey  // made for this writer alone
}

// String keeps the keys out of logs and errors, and so do the two after it.
func (*WriterKeys) String() string { return "[secret]" }

// GoString keeps them out of %#v.
func (*WriterKeys) GoString() string { return "[secret]" }

// MarshalText keeps them out of JSON.
func (*WriterKeys) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// PublicKey is what the writer's signatures are checked with.
func (k *WriterKeys) PublicKey() Binary { return Binary(k.Sign.Public().(ed25519.PublicKey)) }

// opener is what seals a pack with this header, and opens it. It panics on misuse.
func (k *WriterKeys) opener(h PackHeader) *Opener {
	var s Suite
	var chunks *ivd.Key
	if k != nil {
		s = k.Suite
		if key := ChunkKey(k.Frame, h.Writer, h.Nonce); h.Kind == DataPack {
			chunks = &key
		}
		if h.sealedKey() != (h.DataKey == k.DataKey && !h.DataKey.IsZero()) {
			panic("a pack with another data key than its writer's")
		}
	}
	o, err := s.Opener(h, chunks)
	if err != nil {
		panic(err)
	}
	return o
}

// trailer appends a pack's trailer, which ends what body holds of it.
func (k *WriterKeys) trailer(body []byte, t Trailer) []byte {
	if k == nil {
		return t.append(append(body, make([]byte, signatureSize)...), signatureNone)
	}
	fields := t.append(nil, signatureEd25519)
	signed := signedOf(body[:PackHeaderSize], body[t.Offset:], fields)
	return append(append(body, ed25519.Sign(k.Sign, signed)...), fields...)
}

// signedOf is what a pack's signature is over: its header, the Sum of its directory's
// frame as it is stored, and the trailer's fields. By the directory that is all of it.
func signedOf(header, directory, fields []byte) []byte {
	sum := blake3Sum(directory)
	signed := make([]byte, 0, PackHeaderSize+len(sum)+len(fields))
	return append(append(append(signed, header...), sum[:]...), fields...)
}
