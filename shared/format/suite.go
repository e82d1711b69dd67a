package format

import (
	"lukechampine.com/blake3"

	"ivdmover/shared/ivd"
)

// Suite is how the contents of one domain are named and sealed. The zero Suite is a
// plain repository's: ids are made without a key, and nothing is sealed. It does not
// change, and is safe for concurrent use.
type Suite struct {
	cipher   Cipher
	ids      hasher
	metadata ivd.Key
}

// NewSuite makes an encrypted domain's: id is the key that contents' ids are made with,
// metadata the one that index packs and directories are sealed with. What chunks are
// sealed with is each writer's own.
func NewSuite(id, metadata ivd.Key) Suite {
	return Suite{cipher: CipherAES, ids: keyed(id), metadata: metadata}
}

// Cipher is how packs are sealed.
func (s Suite) Cipher() Cipher { return s.cipher }

// ID is the id of a content: of a chunk, a node or a page.
func (s Suite) ID(plain []byte) ivd.ContentID { return s.ids.sum(plain) }

// hash is the byte of a pack's header: how the pack's name and the ids in it are made.
func (c Cipher) hash() byte {
	if c == CipherNone {
		return hashBLAKE3
	}
	return hashKeyed
}

// Opener opens the frames of one pack. The zero Opener is that of a pack of a plain
// repository. Safe for concurrent use.
type Opener struct {
	ids       hasher
	first     int64        // where the pack's first frame begins; 0: behind the header
	frames    *frameCipher // of chunks, or of nodes and pages; nil: not sealed, or no key
	directory *frameCipher
	sealed    bool
}

// Opener makes what opens a pack with this header. Chunks is the key of a data pack's
// chunks (ChunkKey); without it only the directory can be opened. It is not looked at
// for an index pack, nor in a plain repository. Kind Corrupt: the pack is not sealed as
// those of the domain are.
func (s Suite) Opener(h PackHeader, chunks *ivd.Key) (*Opener, error) {
	if h.Cipher != s.cipher {
		return nil, corrupt("a pack with cipher %d where those of the domain have %d", h.Cipher, s.cipher)
	}
	o := &Opener{ids: s.ids, first: int64(h.Size()), sealed: s.cipher != CipherNone}
	switch {
	case !o.sealed:
	case h.Kind == IndexPack:
		o.frames = newFrameCipher(packKey(contextIndex, s.metadata, h), h)
		o.directory = o.frames
	default:
		o.directory = newFrameCipher(packKey(contextDirectory, s.metadata, h), h)
		if chunks != nil {
			o.frames = newFrameCipher(*chunks, h)
		}
	}
	return o, nil
}

// IndexHeader is the header of an index pack that is known by its reference alone: all
// index packs of a domain are alike in the rest.
func (s Suite) IndexHeader(repository string, domain ivd.DomainID, ref ivd.PackRef) PackHeader {
	return PackHeader{Kind: IndexPack, Cipher: s.cipher, Repository: repository, Domain: domain, Writer: ref.Writer, Nonce: ref.Nonce}
}

func (o *Opener) firstFrame() int64 { return max(o.first, PackHeaderSize) }

func (o *Opener) cipherOf(k FrameKind) *frameCipher {
	if k == DirectoryFrame {
		return o.directory
	}
	return o.frames
}

// KeyOf is the id of a key, which tells keys apart and tells nothing of them. Of a key
// pair it is that of the public half.
func KeyOf(key []byte) (id ivd.KeyID) {
	blake3.DeriveKey(id[:], contextKeyID, key)
	return id
}
