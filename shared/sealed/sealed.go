// Package sealed seals the answer to a question, so that only who asked can read
// it, whoever carries or records it: a login for a mover, the keys of packs.
//
// Who asks makes a key pair (RFC 9180, with the hybrid of ML-KEM-768 and X25519:
// what is recorded today stays closed to machines to come) and shows its public
// half; the private half leaves the process only by Seed. The package promises that an
// answer opens with that key only, unchanged, and only as the answer to the
// question that it was sealed for. It does not say who sealed it: that the
// answer comes from a coordinator is for the connection to make sure. Nothing of
// an answer is in its errors. Safe for concurrent use.
package sealed

import (
	"crypto/hpke"
	"fmt"

	"ivdmover/shared/ivd"
)

func suite() (hpke.KEM, hpke.KDF, hpke.AEAD) {
	return hpke.MLKEM768X25519(), hpke.HKDFSHA256(), hpke.AES256GCM()
}

// Key is the key pair of who asks.
type Key struct {
	private hpke.PrivateKey
}

// NewKey makes a key pair.
func NewKey() (*Key, error) {
	kem, _, _ := suite()
	private, err := kem.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return &Key{private}, nil
}

// KeyFrom makes a key pair again of what Seed has told. Kind Invalid: it is no seed.
func KeyFrom(seed []byte) (*Key, error) {
	kem, _, _ := suite()
	private, err := kem.NewPrivateKey(seed)
	if err != nil {
		return nil, ivd.Errorf(ivd.Invalid, "a key's seed: %w", err)
	}
	return &Key{private}, nil
}

// Seed is the private half, for who keeps it: a repository's data keys outlive the
// process that made them.
func (k *Key) Seed() ([]byte, error) {
	seed, err := k.private.Bytes()
	if err != nil {
		return nil, fmt.Errorf("a key's seed: %w", err)
	}
	return seed, nil
}

// Public returns the half that answers are sealed to.
func (k *Key) Public() []byte { return k.private.PublicKey().Bytes() }

// Question is what an answer is bound to: an answer to one does not open as that to
// another.
type Question []byte

// About makes a question: what for ("login"), the version of its messages, and all
// that tells it from other questions, in order. Quoting keeps the parts apart.
func About(purpose string, version int, parts ...string) Question {
	q := fmt.Appendf(nil, "ivd %s %d", purpose, version)
	for _, p := range parts {
		q = fmt.Appendf(q, " %q", p)
	}
	return q
}

// Seal seals an answer to a public key. Kind Invalid: it is no key.
func Seal(public []byte, q Question, answer []byte) ([]byte, error) {
	kem, kdf, aead := suite()
	to, err := kem.NewPublicKey(public)
	if err != nil {
		return nil, ivd.Errorf(ivd.Invalid, "the key to seal to: %w", err)
	}
	sealed, err := hpke.Seal(to, kdf, aead, q, answer)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// Open opens the answer to a question. Kind Denied: it is sealed to another key,
// or for another question, or has been changed.
func (k *Key) Open(q Question, sealed []byte) ([]byte, error) {
	_, kdf, aead := suite()
	answer, err := hpke.Open(k.private, kdf, aead, q, sealed)
	if err != nil {
		return nil, ivd.Errorf(ivd.Denied, "the answer is not sealed to this key for this question: %w", err)
	}
	return answer, nil
}
