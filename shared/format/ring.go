package format

import (
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"ivdmover/shared/ivd"
)

// Role is what a signing key may sign.
type Role string

// The roles. Root signs the ring, slots and repo.json, and lies in slots alone.
const (
	Commit  Role = "commit"  // points, leases, writers, runs, ends of restores, what was retired
	Retain  Role = "retain"  // what was forgotten, pins, holds, what is lifted or taken out
	Collect Role = "collect" // collections
	Verify  Role = "verify"  // which packs were opened whole
	Root    Role = "root"
)

// Roles are those who may sign a kind of record. Hooks are not signed.
func (m Magic) Roles() []Role {
	switch m {
	case RingMagic, SlotMagic, SignedMagic:
		return []Role{Root}
	case CondemnedMagic, WaitsMagic, DoneMagic, ErasedMagic:
		return []Role{Collect}
	case ForgottenMagic, PinMagic, HoldMagic, UnretiredMagic, QuarantinedMagic:
		return []Role{Retain}
	case RetiredMagic:
		// It takes nothing away, and who backs up is who finds the damage.
		return []Role{Commit, Retain, Verify}
	case VerifiedMagic, DrillMagic:
		return []Role{Verify}
	case HooksMagic:
		return nil
	}
	return []Role{Commit}
}

// Binary is bytes that JSON carries as base64.
type Binary []byte

// MarshalText writes it.
func (b Binary) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText reads what MarshalText wrote, and nothing else.
func (b *Binary) UnmarshalText(text []byte) error {
	v, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("base64: %w", err)
	}
	*b = v
	return nil
}

// Ring is keys/ring: who may sign what, and what writers seal their keys to. Its
// secrets are sealed with the master key, which slots hold.
type Ring struct {
	Head
	Generation uint64    `json:"generation"` // one more with each change
	Created    time.Time `json:"created"`
	Root       Binary    `json:"root"` // an Ed25519 public key
	Signers    []Signer  `json:"signers"`
	Domains    []Keyring `json:"domains"`
	Nonce      Binary    `json:"nonce"`   // 12 bytes, of what seals the secrets
	Secrets    Binary    `json:"secrets"` // sealed
}

// Signer is a key that signs records.
type Signer struct {
	ID      ivd.KeyID `json:"id"`     // KeyOf(Public)
	Public  Binary    `json:"public"` // Ed25519
	Roles   []Role    `json:"roles"`
	Name    string    `json:"name"` // whose it is, for people
	Created time.Time `json:"created"`
	// Removed: from then on it signs nothing new. What it has signed stays valid, so that
	// what its holder has backed up can be read and is not taken for unknown.
	Removed time.Time `json:"removed,omitzero"`
}

// Keyring is what is public of a domain's keys.
type Keyring struct {
	Domain   ivd.DomainID `json:"domain"`
	Name     string       `json:"name,omitempty"` // for people; the repository's own domain has none
	Metadata ivd.KeyID    `json:"metadata"`
	Record   ivd.KeyID    `json:"record"`
	Data     []DataKey    `json:"data"` // the last one is what new writers seal to
}

// DataKey is the public half of a key pair.
type DataKey struct {
	ID      ivd.KeyID `json:"id"`     // KeyOf(Public)
	Public  Binary    `json:"public"` // ML-KEM-768 with X25519, as crypto/hpke writes it
	Created time.Time `json:"created"`
}

const (
	ed25519Size = 32
	kemSize     = 1216 // of a public key
	gcmNonce    = 12
)

// Encode is the ring's object, not yet signed.
func (r Ring) Encode() ([]byte, error) { return encodeRecord(RingMagic, r) }

// DecodeRing reads a ring's record. That it is signed by its own root says nothing
// until the root is known from elsewhere.
func DecodeRing(b []byte, at At) (Ring, error) {
	var r Ring
	if err := decodeRecord(RingMagic, b, at, &r); err != nil {
		return Ring{}, err
	}
	return r, r.check()
}

// ReadRing reads the ring's object, and does not check its signature: who knows the root
// only by its id finds the key there, and checks it then.
func ReadRing(object []byte, at At) (Ring, error) {
	record, err := unchecked(object, RingMagic, at)
	if err != nil {
		return Ring{}, err
	}
	return DecodeRing(record, at)
}

// contextSecrets is what a ring's secrets are authenticated with, beside the rest of it.
const contextSecrets = "ivdmover 2026 format 1: secrets of the ring"

// data is what is authenticated beside the ring's secrets. The rest of the ring is
// signed.
func (r Ring) data() []byte {
	return fmt.Appendf(nil, "%s %q %q %d", contextSecrets, r.Repository, r.Object, r.Generation)
}

// SealSecrets seals a ring's secrets with the master key. The ring's nonce is new.
func SealSecrets(master ivd.Key, r Ring, secrets []byte) ([]byte, error) {
	if len(r.Nonce) != gcmNonce {
		return nil, fmt.Errorf("seal the secrets of %s: a nonce of %d bytes", r.Object, len(r.Nonce))
	}
	return newAEAD(master.Reveal()).Seal(nil, r.Nonce, secrets, r.data()), nil
}

// OpenSecrets is SealSecrets' inverse.
func OpenSecrets(master ivd.Key, r Ring) ([]byte, error) {
	b, err := newAEAD(master.Reveal()).Open(nil, r.Nonce, r.Secrets, r.data())
	if err != nil {
		return nil, corrupt("%s: its secrets are sealed with another key, or were changed", r.Object)
	}
	return b, nil
}

func (r Ring) check() error {
	if len(r.Root) != ed25519Size || len(r.Nonce) != gcmNonce || r.Generation == 0 {
		return corrupt("%s: a root key of %d bytes, a nonce of %d, generation %d", r.Object, len(r.Root), len(r.Nonce), r.Generation)
	}
	for _, s := range r.Signers {
		if len(s.Public) != ed25519Size || KeyOf(s.Public) != s.ID {
			return corrupt("%s: signer %s is not the key that it says", r.Object, s.ID)
		}
		for _, role := range s.Roles {
			if err := known(fmt.Sprintf("%s: role of signer %s", r.Object, s.ID), role, Commit, Retain, Collect, Verify); err != nil {
				return err
			}
		}
	}
	for _, d := range r.Domains {
		if len(d.Data) == 0 {
			return corrupt("%s: domain %s has no data key", r.Object, d.Domain)
		}
		for _, k := range d.Data {
			if len(k.Public) != kemSize || KeyOf(k.Public) != k.ID {
				return corrupt("%s: data key %s is not the key that it says", r.Object, k.ID)
			}
		}
	}
	return nil
}

// UnknownKeyRemedy is what can be done about a key that a ring does not know: since a ring
// keeps all keys, it was brought back to an earlier state, or somebody has made the key.
const UnknownKeyRemedy = "compare what `ivd repo key list` shows with what it has shown before: where a key is missing there, put a later keys/ring back; where none is, find out who has stored this"

// Signer is the signing key of that id, if it may sign records of that kind. Kind
// Unsupported: the ring does not know it, so that nothing can be said of what it
// signed. Kind Corrupt: it is known, and may not.
func (r Ring) Signer(id ivd.KeyID, m Magic) (Signer, error) {
	i := slices.IndexFunc(r.Signers, func(s Signer) bool { return s.ID == id })
	if i < 0 {
		return Signer{}, &ivd.Error{Kind: ivd.Unsupported, Err: fmt.Errorf("record %q is signed by %s, which keys/ring does not know", m, id), Remedy: UnknownKeyRemedy}
	}
	s := r.Signers[i]
	for _, role := range m.Roles() {
		if slices.Contains(s.Roles, role) {
			return s, nil
		}
	}
	return Signer{}, corrupt("record %q is signed by %s (%s), which may not sign that", m, id, s.Name)
}
