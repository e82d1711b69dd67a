package format

import (
	"crypto/cipher"
	"crypto/ed25519"
	"errors"
	"fmt"

	"lukechampine.com/blake3"

	"ivdmover/shared/ivd"
)

// Secrecy says what a record is sealed with in an encrypted repository.
type Secrecy uint8

// The secrecies.
const (
	// Clear records are signed and not sealed: what keys lie in, and what a scrubber
	// without any key must be able to read.
	Clear Secrecy = iota
	// ByMetadata is what movers read and collections work with.
	ByMetadata
	// ByRecord is what tells people's names and times; movers cannot read it.
	ByRecord
)

// Secrecy is that of a kind of record.
func (m Magic) Secrecy() Secrecy {
	switch m {
	case SlotMagic, RingMagic, SignedMagic, StoredMagic, StoreMagic, ErasedMagic, VerifiedMagic:
		return Clear
	case PointMagic, RunMagic, DrillMagic, RestoredMagic, PinMagic, HoldMagic:
		return ByRecord
	}
	return ByMetadata
}

// Protection is what a record is protected with: a key to seal it with, unless its kind
// is clear, and who signs it.
type Protection struct {
	Key    ivd.Key
	KeyID  ivd.KeyID
	Random [32]byte // new for each record
	Signer ivd.KeyID
	Sign   ed25519.PrivateKey
}

// signatureBlock is what a signed record ends with: who signed, and the signature.
const signatureBlock = 16 + ed25519.SignatureSize

// Protect makes the object that is stored in an encrypted repository of a record in the
// clear; object is its full name. A record without a signer is not signed, which a
// reader takes of hooks only.
func Protect(record []byte, object string, p Protection) ([]byte, error) {
	if len(record) < RecordHeaderSize {
		return nil, fmt.Errorf("protect %s: no record", object)
	}
	magic := Magic(record[:8])
	body, err := OpenRecord(magic, record)
	if err != nil {
		return nil, fmt.Errorf("protect %s: %w", object, err)
	}
	b := make([]byte, RecordHeaderSize, RecordHeaderSize+len(body)+TagSize+signatureBlock)
	copy(b, record[:recordCipher])
	if p.Sign != nil {
		b[recordAlgorithm] = signatureEd25519
		le.PutUint32(b[recordSignature:], signatureBlock)
	}
	if magic.Secrecy() == Clear {
		le.PutUint64(b[recordBody:], uint64(len(body)))
	} else {
		body = p.seal(b, magic, object, body)
	}
	sum := blake3Sum(body)
	copy(b[recordSum:], sum[:])
	b = append(b, body...)
	if p.Sign != nil {
		b = append(append(b, p.Signer[:]...), ed25519.Sign(p.Sign, b)...)
	}
	if len(b) > MaxRecord {
		return nil, fmt.Errorf("protect %s: %d bytes, want at most %d", object, len(b), MaxRecord)
	}
	return b, nil
}

// seal seals a body, and says so in the header h.
func (p Protection) seal(h []byte, magic Magic, object string, body []byte) []byte {
	h[recordCipher] = byte(CipherAES)
	copy(h[recordKey:], p.KeyID[:])
	var k ivd.Key
	derive(k[:], contextNonce, p.Key)
	nonce := blake3.New(32, k.Reveal())
	for _, part := range [][]byte{p.Random[:], []byte(object), {0}, body} {
		_, _ = nonce.Write(part) // it never fails
	}
	nonce.Sum(h[:recordNonce])
	le.PutUint64(h[recordBody:], uint64(len(body)+TagSize))
	aead, n := recordCipherOf(p.Key, magic, h)
	return aead.Seal(nil, n[:], body, h[:recordSum])
}

// recordCipherOf is what seals and opens the one record whose header is h.
func recordCipherOf(key ivd.Key, magic Magic, h []byte) (cipher.AEAD, [12]byte) {
	var keys [32 + 12]byte
	derive(keys[:], contextRecord, key, []byte(magic), h[recordNonce:recordBody])
	return newAEAD(keys[:32]), [12]byte(keys[32:])
}

// Keys are what protected records are opened with. Each returns kind Unsupported for a
// key that it does not know: a record that it cannot judge is not damage.
type Keys interface {
	// Opens is the key of that id, for records of that secrecy.
	Opens(id ivd.KeyID, s Secrecy) (ivd.Key, error)
	// Signer is the public key of that id, if it may sign records of that kind.
	Signer(id ivd.KeyID, m Magic) (ed25519.PublicKey, error)
}

// ErrForged is in the chain of the error of a record whose signature, by a key that is
// known, does not hold.
var ErrForged = errors.New("its signature does not hold")

// SignerOf is the id of the key that signed an object, as it says; zero where none did.
// Whether it holds, Unprotect tells.
func SignerOf(object []byte) (id ivd.KeyID) {
	if len(object) >= RecordHeaderSize+signatureBlock && object[recordAlgorithm] == signatureEd25519 {
		copy(id[:], object[len(object)-signatureBlock:])
	}
	return id
}

// Unprotect checks an object of an encrypted repository, and returns the record in the
// clear that Protect made it of. Kind Corrupt: it is not what a known key signed and
// sealed, or is not protected as its kind must be.
func Unprotect(object []byte, magic Magic, keys Keys) ([]byte, error) {
	if len(object) < RecordHeaderSize {
		return nil, corrupt("record of %d bytes: want at least %d", len(object), RecordHeaderSize)
	}
	h := object[:RecordHeaderSize]
	if err := checkRecordHeader(magic, h); err != nil {
		return nil, err
	}
	body, err := verified(object, magic, keys)
	if err != nil {
		return nil, err
	}
	sealed, secret := Cipher(h[recordCipher]) != CipherNone, magic.Secrecy() != Clear
	if sealed != secret {
		return nil, corrupt("record %q with cipher %d, which is not how this kind is sealed", magic, h[recordCipher])
	}
	if secret {
		key, err := keys.Opens(ivd.KeyID(h[recordKey:recordNonce]), magic.Secrecy())
		if err != nil {
			return nil, err
		}
		aead, n := recordCipherOf(key, magic, h)
		if body, err = aead.Open(nil, n[:], body, h[:recordSum]); err != nil {
			return nil, corrupt("record %q: its tag does not hold", magic)
		}
	}
	return SealRecord(magic, body)
}

// verified is an object's body, as it is stored, once its signature was checked.
func verified(object []byte, magic Magic, keys Keys) ([]byte, error) {
	body, signature, err := splitRecord(object)
	if err != nil {
		return nil, err
	}
	switch {
	case len(signature) != 0:
	case magic == HooksMagic:
		return body, nil
	default:
		return nil, corrupt("record %q without a signature, in an encrypted repository", magic)
	}
	signer, err := keys.Signer(ivd.KeyID(signature), magic)
	if err != nil {
		return nil, err
	}
	if !ed25519.Verify(signer, object[:len(object)-signatureBlock], signature[16:]) {
		return nil, corrupt("record %q: %w", magic, ErrForged)
	}
	return body, nil
}
