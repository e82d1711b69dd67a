// Package keys holds an encrypted repository's keys: it makes them, seals them into
// slots and the ring, and gives each process what it may have.
//
// What opens a slot is an Opening; who has opened one (Master) can do everything. A
// coordinator that only backs up has an export (Export): it can name contents, seal and
// sign points, and open no chunk. What a process works with is an Access. The package
// promises that nothing that opens a chunk is in an export or a grant, and that a ring
// that another root signed is refused. It knows no store: package repo reads and writes
// the objects. A Master that is being changed is its caller's alone; the other values
// do not change once they are made, and are safe for concurrent use.
package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/sealed"
)

// Master is what a slot opens to: all of a repository's keys.
type Master struct {
	content format.SlotContent
	ring    format.Ring
	secrets secrets
}

// secrets is what the ring holds sealed.
type secrets struct {
	Signers []secretSigner `json:"signers"`
	Domains []secretDomain `json:"domains"`
}

type secretSigner struct {
	ID   ivd.KeyID     `json:"id"`
	Seed format.Binary `json:"seed"` // of an Ed25519 key
}

type secretDomain struct {
	Domain   ivd.DomainID  `json:"domain"`
	Content  format.Binary `json:"content"` // makes ids
	Metadata format.Binary `json:"metadata"`
	Record   format.Binary `json:"record"`
	Data     []secretData  `json:"data"`
}

type secretData struct {
	ID      ivd.KeyID     `json:"id"`
	Private format.Binary `json:"private"`
}

// New makes the keys of a new repository with one domain. Head is the ring's.
func New(head format.Head, now time.Time) (*Master, error) {
	m := &Master{content: format.SlotContent{Master: ivd.NewKey(), Root: ivd.NewKey()}}
	m.ring = format.Ring{Head: head, Created: now.UTC().Truncate(time.Second), Root: format.Binary(format.PublicOf(m.content.Root))}
	m.addSigner("repository", []format.Role{format.Commit, format.Retain, format.Collect, format.Verify}, now)
	return m, m.addDomain(head.Domain, "", now)
}

// addSigner makes a signing key, and says who has it.
func (m *Master) addSigner(name string, roles []format.Role, now time.Time) secretSigner {
	seed := ivd.NewKey()
	public := format.PublicOf(seed)
	s := secretSigner{ID: format.KeyOf(public), Seed: seed.Reveal()}
	m.ring.Signers = append(m.ring.Signers, format.Signer{ID: s.ID, Public: format.Binary(public), Roles: roles, Name: name, Created: now.UTC().Truncate(time.Second)})
	m.secrets.Signers = append(m.secrets.Signers, s)
	return s
}

// AddDomain makes a domain with keys of its own, which share nothing with another's: the
// same content is named and sealed otherwise in it. Kind Exists: another one has the name.
func (m *Master) AddDomain(name string, now time.Time) (ivd.DomainID, error) {
	if i := slices.IndexFunc(m.ring.Domains, func(k format.Keyring) bool { return k.Name == name }); i >= 0 {
		return ivd.DomainID{}, &ivd.Error{Kind: ivd.Exists, Err: fmt.Errorf("domain %s has the name %q", m.ring.Domains[i].Domain, name), Remedy: "choose another name"}
	}
	id := ivd.NewDomainID()
	return id, m.addDomain(id, name, now)
}

func (m *Master) addDomain(id ivd.DomainID, name string, now time.Time) error {
	d := secretDomain{Domain: id, Content: ivd.NewKey().Reveal(), Metadata: ivd.NewKey().Reveal(), Record: ivd.NewKey().Reveal()}
	m.secrets.Domains = append(m.secrets.Domains, d)
	m.ring.Domains = append(m.ring.Domains, format.Keyring{Domain: id, Name: name, Metadata: format.KeyOf(d.Metadata), Record: format.KeyOf(d.Record)})
	return m.Rotate(id, now)
}

// Rotate gives a domain another data key, for the writers to come. What was stored
// stays as it is, and is opened with the keys before.
func (m *Master) Rotate(id ivd.DomainID, now time.Time) error {
	i := slices.IndexFunc(m.ring.Domains, func(k format.Keyring) bool { return k.Domain == id })
	if i < 0 {
		return ivd.Errorf(ivd.NotFound, "the ring has no domain %s", id)
	}
	private, err := sealed.NewKey()
	if err != nil {
		return fmt.Errorf("make a data key: %w", err)
	}
	seed, err := private.Seed()
	if err != nil {
		return fmt.Errorf("make a data key: %w", err)
	}
	public := private.Public()
	key := format.KeyOf(public)
	m.secrets.Domains[i].Data = append(m.secrets.Domains[i].Data, secretData{ID: key, Private: seed})
	m.ring.Domains[i].Data = append(m.ring.Domains[i].Data, format.DataKey{ID: key, Public: public, Created: now.UTC().Truncate(time.Second)})
	m.ring.Generation++
	return nil
}

// Ring is the object keys/ring as it is to be stored now.
func (m *Master) Ring() ([]byte, error) {
	r := m.ring
	plain, err := json.Marshal(m.secrets)
	if err != nil {
		return nil, fmt.Errorf("encode the ring's secrets: %w", err)
	}
	r.Nonce = make([]byte, 12)
	_, _ = rand.Read(r.Nonce) // it never fails
	if r.Secrets, err = format.SealSecrets(m.content.Master, r, plain); err != nil {
		return nil, err
	}
	b, err := r.Encode()
	if err != nil {
		return nil, err
	}
	return m.protect(b, r.Object)
}

// Slot is the object of a slot that opens with a secret.
func (m *Master) Slot(s format.Slot, secret []byte) ([]byte, error) {
	s.Salt = ivd.NewKey().Reveal()
	if err := s.Close(secret, m.content); err != nil {
		return nil, err
	}
	b, err := s.Encode()
	if err != nil {
		return nil, err
	}
	return m.protect(b, s.Object)
}

// Signed is the object repo.sig as it is to be stored.
func (m *Master) Signed(s format.Signed) ([]byte, error) {
	b, err := s.Encode()
	if err != nil {
		return nil, err
	}
	return m.protect(b, s.Object)
}

// protect signs what the root signs.
func (m *Master) protect(record []byte, object string) ([]byte, error) {
	return format.Protect(record, object, format.Protection{Signer: format.KeyOf(m.ring.Root), Sign: ed25519.NewKeyFromSeed(m.content.Root.Reveal())})
}

// Open opens the keys of a repository with a slot's content. Kind Corrupt: the ring is
// not that of the slot's root.
func Open(c format.SlotContent, ring []byte, at format.At) (*Master, error) {
	r, err := ReadRing(ring, at, format.PublicOf(c.Root))
	if err != nil {
		return nil, err
	}
	plain, err := format.OpenSecrets(c.Master, r)
	if err != nil {
		return nil, err
	}
	m := &Master{content: c, ring: r}
	if err := format.DecodeJSON(plain, &m.secrets); err != nil {
		return nil, fmt.Errorf("%s: its secrets: %w", at.Object, err)
	}
	return m, nil
}

// Reopen opens the keys of a ring as it is now, which must be of the same root.
func (m *Master) Reopen(ring []byte, at format.At) (*Master, error) { return Open(m.content, ring, at) }

// Raise has the ring be of a generation above another one.
func (m *Master) Raise(above uint64) { m.ring.Generation = max(m.ring.Generation, above) + 1 }

// ReadRing reads keys/ring, which must be signed by the root that the caller pins.
func ReadRing(object []byte, at format.At, root ed25519.PublicKey) (format.Ring, error) {
	record, err := format.Unprotect(object, format.RingMagic, format.RootOnly(root))
	if err != nil {
		return format.Ring{}, fmt.Errorf("%s: %w", at.Object, err)
	}
	r, err := format.DecodeRing(record, at)
	if err == nil && !slices.Equal(r.Root, format.Binary(root)) {
		err = ivd.Errorf(ivd.Corrupt, "%s names another root than the one that signed it", at.Object)
	}
	return r, err
}

// PublicRing is what is public of the keys. Its caller changes nothing of it.
func (m *Master) PublicRing() format.Ring { return m.ring }

// RemoveSigner ends a signing key: what it has signed stays valid, and its holder signs
// nothing new with a ring that says so. Kind NotFound: there is no such key, or it was
// removed before. Kind Unmet: it is the last one with one of its roles.
func (m *Master) RemoveSigner(id ivd.KeyID, now time.Time) error {
	i := slices.IndexFunc(m.ring.Signers, func(s format.Signer) bool { return s.ID == id && s.Removed.IsZero() })
	if i < 0 {
		return ivd.Errorf(ivd.NotFound, "%s has no signing key %s that may sign", m.ring.Object, id)
	}
	for _, role := range m.ring.Signers[i].Roles {
		if !slices.ContainsFunc(m.ring.Signers, func(s format.Signer) bool { return s.ID != id && s.Removed.IsZero() && slices.Contains(s.Roles, role) }) {
			return &ivd.Error{Kind: ivd.Unmet, Err: fmt.Errorf("signing key %s (%s) is the only one with role %s: nobody could sign such records any more", id, m.ring.Signers[i].Name, role), Remedy: "keep it: it lies in the ring alone, for who opens a slot"}
		}
	}
	m.ring.Signers = slices.Clone(m.ring.Signers)
	m.ring.Signers[i].Removed = now.UTC().Truncate(time.Second)
	m.secrets.Signers = slices.DeleteFunc(slices.Clone(m.secrets.Signers), func(s secretSigner) bool { return s.ID == id })
	m.ring.Generation++
	return nil
}

// Root is the id of the root key.
func (m *Master) Root() ivd.KeyID { return format.KeyOf(m.ring.Root) }
