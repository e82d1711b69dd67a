package format

import (
	"crypto/aes"
	"crypto/cipher"

	"lukechampine.com/blake3"

	"ivdmover/shared/ivd"
)

// Cipher says whether and how what lies in a pack or a record is sealed.
type Cipher uint8

// The ciphers.
const (
	CipherNone Cipher = 0 // in the clear; the room for tags is zero
	CipherAES  Cipher = 1 // AES-256-GCM
)

// The contexts of BLAKE3's derivation, one for each use of a key.
const (
	contextChunks    = "ivdmover 2026 format 1: chunks of a data pack"
	contextDirectory = "ivdmover 2026 format 1: directory of a data pack"
	contextIndex     = "ivdmover 2026 format 1: frames of an index pack"
	contextFrames    = "ivdmover 2026 format 1: key and nonces of frames"
	contextRecord    = "ivdmover 2026 format 1: key and nonce of a record"
	contextNonce     = "ivdmover 2026 format 1: nonce field of a record"
	contextKeyID     = "ivdmover 2026 format 1: id of a key"
)

// derive is BLAKE3's key derivation over inputs of fixed lengths.
func derive(out []byte, context string, key ivd.Key, inputs ...[]byte) {
	source := append(make([]byte, 0, 128), key.Reveal()...)
	for _, in := range inputs {
		source = append(source, in...)
	}
	blake3.DeriveKey(out, context, source)
	clear(source)
}

// packKey is the key of one pack, for one of the contexts.
func packKey(context string, key ivd.Key, h PackHeader) (k ivd.Key) {
	derive(k[:], context, key, []byte{byte(h.Kind)}, h.Writer[:], h.Nonce[:])
	return k
}

// ChunkKey is the key of the chunks of one data pack, made from the frame key of its
// writer: who has it can read this pack, and no other. It is what a restore asks for.
func ChunkKey(frame ivd.Key, w ivd.WriterID, n ivd.Nonce) ivd.Key {
	return packKey(contextChunks, frame, PackHeader{Kind: DataPack, Writer: w, Nonce: n})
}

// frameCipher seals and opens the frames of one pack, all of them or its directory's.
// Safe for concurrent use.
type frameCipher struct {
	aead   cipher.AEAD
	nonces hasher
	header [PackHeaderSize]byte
}

func newFrameCipher(key ivd.Key, h PackHeader) *frameCipher {
	var keys [64]byte
	derive(keys[:], contextFrames, key)
	c := &frameCipher{aead: newAEAD(keys[:32]), nonces: keyed(ivd.Key(keys[32:]))}
	h.append(c.header[:0])
	clear(keys[:])
	return c
}

// newAEAD makes AES-256-GCM; it panics for a key of another length, which nothing here
// makes.
func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// nonce is a frame's: its number, so that no two frames of a pack share one, and a
// keyed sum of its header, which holds the content's id: the machine of a mover that is
// resumed twice from one moment must not use one nonce for two contents.
func (c *frameCipher) nonce(frameHeader []byte) (n [12]byte) {
	sum := c.nonces.sum(frameHeader)
	copy(n[:4], frameHeader[frameNumber:])
	copy(n[4:], sum[:8])
	return n
}

// data is what is authenticated beside a frame's content.
func (c *frameCipher) data(frameHeader []byte) (d [PackHeaderSize + FrameHeaderSize]byte) {
	copy(d[:], c.header[:])
	copy(d[PackHeaderSize:], frameHeader)
	return d
}

// seal seals a frame where it lies, from header to the room for its tag.
func (c *frameCipher) seal(frame []byte) {
	header, content := frame[:FrameHeaderSize], frame[FrameHeaderSize:len(frame)-TagSize]
	nonce, data := c.nonce(header), c.data(header)
	c.aead.Seal(content[:0], nonce[:], content, data[:])
}

// open opens a frame, into memory of its own unless dst is large enough.
func (c *frameCipher) open(dst, frame []byte) ([]byte, error) {
	header := frame[:FrameHeaderSize]
	nonce, data := c.nonce(header), c.data(header)
	plain, err := c.aead.Open(dst[:0], nonce[:], frame[FrameHeaderSize:], data[:])
	if err != nil {
		return nil, corrupt("its tag does not hold: it was changed, or is of another pack, or the key is another's")
	}
	return plain, nil
}
