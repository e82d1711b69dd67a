package format

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"golang.org/x/crypto/argon2"

	"lukechampine.com/blake3"

	"ivdmover/shared/ivd"
)

// SlotKind is what opens a slot.
type SlotKind string

// The kinds.
const (
	PassphraseSlot SlotKind = "passphrase"
	KeyFileSlot    SlotKind = "key_file"
)

// Slot is keys/slot-<n>: the master key and the root key, sealed with what one person
// or one file has. Signed by the root key that it holds.
type Slot struct {
	Head
	Kind    SlotKind  `json:"kind"`
	Name    string    `json:"name"` // for people
	Created time.Time `json:"created"`
	Argon2  Argon2    `json:"argon2"` // of a passphrase; zero of a key file
	Salt    Binary    `json:"salt"`   // 32 bytes
	Check   Binary    `json:"check"`  // 16 bytes, compared first
	Sealed  Binary    `json:"sealed"`
}

// Argon2 are the parameters of Argon2id.
type Argon2 struct {
	Time    uint32 `json:"time"`   // passes
	Memory  uint32 `json:"memory"` // KiB
	Threads uint8  `json:"threads"`
}

// What a reader takes: a slot is read before anything is known of who wrote it.
const (
	maxArgon2Memory = 1 << 20 // KiB, 1 GiB
	minArgon2Memory = 8 << 10
	maxArgon2Time   = 16
	maxArgon2Thread = 16
)

// DefaultArgon2 is what is more than RFC 9106 asks of a machine with little memory.
var DefaultArgon2 = Argon2{Time: 3, Memory: 256 << 10, Threads: 4}

const (
	saltSize    = 32
	checkSize   = 16
	contextSlot = "ivdmover 2026 format 1: key of a slot"
)

func (a Argon2) check(k SlotKind) error {
	if k == KeyFileSlot {
		if a != (Argon2{}) {
			return unsupported("parameters of Argon2 beside a key file")
		}
		return nil
	}
	if a.Memory < minArgon2Memory || a.Memory > maxArgon2Memory || a.Time < 1 || a.Time > maxArgon2Time || a.Threads < 1 || a.Threads > maxArgon2Thread {
		return unsupported("Argon2id with %d passes, %d KiB and %d threads: this release takes 1 to %d, %d to %d KiB, 1 to %d",
			a.Time, a.Memory, a.Threads, maxArgon2Time, minArgon2Memory, maxArgon2Memory, maxArgon2Thread)
	}
	return nil
}

// SlotContent is what a slot holds.
type SlotContent struct {
	Master ivd.Key // seals the ring's secrets
	Root   ivd.Key // the seed of the root's Ed25519 key
}

// Close seals a slot's content with a secret: the bytes of a passphrase, or a key
// file's. All of s but Check and Sealed must be set; Salt is used for one slot only.
func (s *Slot) Close(secret []byte, c SlotContent) error {
	if err := s.checkParameters(); err != nil {
		return err
	}
	keys := s.keys(secret)
	content := append(c.Master.Reveal(), c.Root.Reveal()...)
	s.Check = keys[:checkSize]
	s.Sealed = newAEAD(keys[checkSize:checkSize+32]).Seal(nil, keys[checkSize+32:], content, s.data())
	return nil
}

// Open opens a slot. Kind Denied: the secret is another's. Kind Corrupt: the slot was
// changed.
func (s *Slot) Open(secret []byte) (SlotContent, error) {
	if err := s.checkParameters(); err != nil {
		return SlotContent{}, err
	}
	keys := s.keys(secret)
	if ivd.Key(pad(keys[:checkSize])).Equal(ivd.Key(pad(s.Check))) {
		b, err := newAEAD(keys[checkSize:checkSize+32]).Open(nil, keys[checkSize+32:], s.Sealed, s.data())
		if err != nil || len(b) != 64 {
			return SlotContent{}, corrupt("%s: its tag does not hold", s.Object)
		}
		return SlotContent{Master: ivd.Key(b[:32]), Root: ivd.Key(b[32:])}, nil
	}
	return SlotContent{}, ivd.Errorf(ivd.Denied, "%s: the %s is not this slot's", s.Object, s.Kind)
}

func pad(b []byte) (p [32]byte) {
	copy(p[:], b)
	return p
}

// keys are the check value, the key and the nonce of a slot, in this order.
func (s *Slot) keys(secret []byte) []byte {
	stretched := secret
	if s.Kind == PassphraseSlot {
		stretched = argon2.IDKey(secret, s.Salt, s.Argon2.Time, s.Argon2.Memory, s.Argon2.Threads, 32)
	}
	keys := make([]byte, checkSize+32+gcmNonce)
	source := append(append([]byte(nil), s.Salt...), stretched...)
	blake3.DeriveKey(keys, contextSlot, source)
	clear(source)
	return keys
}

// data is what is authenticated beside the content: everything that says how it is
// opened, and whose it is.
func (s *Slot) data() []byte {
	b := []byte(contextSlot)
	for _, text := range []string{s.Repository, s.Domain.String(), s.Object, string(s.Kind)} {
		b = le.AppendUint16(b, uint16(len(text)))
		b = append(b, text...)
	}
	b = le.AppendUint32(b, s.Argon2.Time)
	b = le.AppendUint32(b, s.Argon2.Memory)
	b = append(b, s.Argon2.Threads)
	return append(b, s.Salt...)
}

func (s *Slot) checkParameters() error {
	if err := known("kind of "+s.Object, s.Kind, PassphraseSlot, KeyFileSlot); err != nil {
		return err
	}
	if err := s.Argon2.check(s.Kind); err != nil {
		return fmt.Errorf("%s: %w", s.Object, err)
	}
	if len(s.Salt) != saltSize {
		return corrupt("%s: a salt of %d bytes", s.Object, len(s.Salt))
	}
	return nil
}

// Encode is the slot's object, not yet signed.
func (s *Slot) Encode() ([]byte, error) { return encodeRecord(SlotMagic, s) }

// DecodeSlot reads a slot's record, and checks its parameters before anybody takes the
// memory that they ask for.
func DecodeSlot(b []byte, at At) (*Slot, error) {
	s := new(Slot)
	if err := decodeRecord(SlotMagic, b, at, s); err != nil {
		return nil, err
	}
	if err := s.checkParameters(); err != nil {
		return nil, err
	}
	if len(s.Check) != checkSize || len(s.Sealed) != 64+TagSize {
		return nil, corrupt("%s: a check of %d bytes and a content of %d", s.Object, len(s.Check), len(s.Sealed))
	}
	return s, nil
}

// OpenSlot opens a slot's object with a secret, and checks that it was signed by the
// root key that it holds. Kinds as of Slot.Open.
func OpenSlot(object []byte, at At, secret []byte) (SlotContent, error) {
	s, err := ReadSlot(object, at)
	if err != nil {
		return SlotContent{}, err
	}
	c, err := s.Open(secret)
	if err != nil {
		return SlotContent{}, err
	}
	_, err = Unprotect(object, SlotMagic, RootOnly(PublicOf(c.Root)))
	return c, err
}

// ReadSlot reads a slot's object, and does not check its signature, which only who
// opens the slot can do.
func ReadSlot(object []byte, at At) (*Slot, error) {
	record, err := unchecked(object, SlotMagic, at)
	if err != nil {
		return nil, err
	}
	return DecodeSlot(record, at)
}

// unchecked is the record in the clear of an object whose signature is not looked at.
func unchecked(object []byte, m Magic, at At) ([]byte, error) {
	if len(object) < RecordHeaderSize {
		return nil, corrupt("%s: %d bytes", at.Object, len(object))
	}
	if err := checkRecordHeader(m, object[:RecordHeaderSize]); err != nil {
		return nil, err
	}
	body, _, err := splitRecord(object)
	if err != nil {
		return nil, err
	}
	return SealRecord(m, body)
}

// PublicOf is the public half of the signing key that a seed makes.
func PublicOf(seed ivd.Key) ed25519.PublicKey {
	return ed25519.NewKeyFromSeed(seed.Reveal()).Public().(ed25519.PublicKey)
}

// RootOnly are the keys of records that the root signs: the ring, and slots.
type RootOnly ed25519.PublicKey

// Opens knows no key: what the root signs is not sealed.
func (r RootOnly) Opens(id ivd.KeyID, _ Secrecy) (ivd.Key, error) {
	return ivd.Key{}, unsupported("a record that the root signs is sealed with key %s", id)
}

// Signer is the root. Kind Corrupt: another one signed, as who replaces the ring does.
func (r RootOnly) Signer(id ivd.KeyID, m Magic) (ed25519.PublicKey, error) {
	if want := KeyOf(r); id != want {
		return nil, corrupt("record %q is signed by %s, and not by the root key %s", m, id, want)
	}
	return ed25519.PublicKey(r), nil
}
