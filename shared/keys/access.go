package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/sealed"
)

// Access is what one process works with in one domain.
type Access struct {
	repository string
	ring       format.Ring
	keyring    format.Keyring
	suite      format.Suite
	content    ivd.Key
	seals      map[format.Secrecy]sealing
	signing    []signing
	private    map[ivd.KeyID]*sealed.Key // of data keys; none where chunks are not for this process
}

// sealing is a key that records are sealed with.
type sealing struct {
	id  ivd.KeyID
	key ivd.Key
}

// signing is a key that records are signed with.
type signing struct {
	id    ivd.KeyID
	key   ed25519.PrivateKey
	roles []format.Role
}

// holdings are the keys that an Access is made of.
type holdings struct {
	domain  secretDomain
	signers []secretSigner
}

func newAccess(ring format.Ring, h holdings) (*Access, error) {
	d := h.domain
	i := slices.IndexFunc(ring.Domains, func(k format.Keyring) bool { return k.Domain == d.Domain })
	if i < 0 {
		return nil, ivd.Errorf(ivd.NotFound, "%s has no domain %s", ring.Object, d.Domain)
	}
	a := &Access{repository: ring.Repository, ring: ring, keyring: ring.Domains[i], seals: map[format.Secrecy]sealing{}, private: map[ivd.KeyID]*sealed.Key{}}
	for _, k := range []struct {
		what  string
		key   format.Binary
		id    ivd.KeyID
		seals format.Secrecy
	}{
		{"metadata key", d.Metadata, a.keyring.Metadata, format.ByMetadata},
		{"record key", d.Record, a.keyring.Record, format.ByRecord},
	} {
		if len(k.key) == 0 {
			continue // not for this process
		}
		if len(k.key) != 32 || format.KeyOf(k.key) != k.id {
			return nil, ivd.Errorf(ivd.Corrupt, "the %s is not the one of %s", k.what, ring.Object)
		}
		a.seals[k.seals] = sealing{k.id, ivd.Key(k.key)}
	}
	if len(d.Content) != 32 {
		return nil, ivd.Errorf(ivd.Corrupt, "an id key of %d bytes", len(d.Content))
	}
	a.content = ivd.Key(d.Content)
	a.suite = format.NewSuite(a.content, a.seals[format.ByMetadata].key)
	for _, k := range d.Data {
		private, err := sealed.KeyFrom(k.Private)
		if err != nil {
			return nil, ivd.Errorf(ivd.Corrupt, "data key %s: %w", k.ID, err)
		}
		a.private[k.ID] = private
	}
	for _, s := range h.signers {
		if err := a.addSigner(s); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// exportAgain is what can be done where an export is out of date.
const exportAgain = "have the keys exported again by who has the passphrase, with `ivd repo key export --backup --name NAME --output FILE`, and name that file as repository.backup_key_file"

// ErrRemoved is in the chain of the error of who holds a signing key that was removed.
var ErrRemoved = errors.New("it signs nothing new")

func (a *Access) addSigner(s secretSigner) error {
	i := slices.IndexFunc(a.ring.Signers, func(r format.Signer) bool { return r.ID == s.ID })
	if i < 0 {
		return &ivd.Error{Kind: ivd.Denied, Err: fmt.Errorf("%s no longer has the signing key %s", a.ring.Object, s.ID), Remedy: exportAgain}
	}
	if r := a.ring.Signers[i]; !r.Removed.IsZero() {
		return &ivd.Error{Kind: ivd.Denied, Err: fmt.Errorf("the signing key %s (%s) was removed from %s on %s: %w", s.ID, r.Name, a.ring.Object, r.Removed.UTC().Format(time.RFC3339), ErrRemoved), Remedy: exportAgain}
	}
	if len(s.Seed) != ed25519.SeedSize {
		return ivd.Errorf(ivd.Corrupt, "signing key %s of %d bytes", s.ID, len(s.Seed))
	}
	key := ed25519.NewKeyFromSeed(s.Seed)
	if format.KeyOf(key.Public().(ed25519.PublicKey)) != s.ID {
		return ivd.Errorf(ivd.Corrupt, "signing key %s is not the key that it says", s.ID)
	}
	a.signing = append(a.signing, signing{s.ID, key, a.ring.Signers[i].Roles})
	return nil
}

// Access is what who opened a slot works with in a domain: everything.
func (m *Master) Access(domain ivd.DomainID) (*Access, error) {
	d, err := m.domain(domain)
	if err != nil {
		return nil, err
	}
	return newAccess(m.ring, holdings{d, m.secrets.Signers})
}

// SignAs has all that another's keys may sign be signed with them. It is called before
// anything is signed.
func (a *Access) SignAs(other *Access) { a.signing = append(slices.Clone(other.signing), a.signing...) }

// OpensChunks reports whether this process has the keys that chunks are opened with.
func (a *Access) OpensChunks() bool { return len(a.private) > 0 }

// domain is what is secret of a domain's keys.
func (m *Master) domain(id ivd.DomainID) (secretDomain, error) {
	i := slices.IndexFunc(m.secrets.Domains, func(d secretDomain) bool { return d.Domain == id })
	if i < 0 {
		return secretDomain{}, ivd.Errorf(ivd.NotFound, "%s has no domain %s", m.ring.Object, id)
	}
	return m.secrets.Domains[i], nil
}

// HasDomain reports whether the ring knows a domain.
func (a *Access) HasDomain(id ivd.DomainID) bool {
	return slices.ContainsFunc(a.ring.Domains, func(k format.Keyring) bool { return k.Domain == id })
}

// Generation is that of the ring that it was made of.
func (a *Access) Generation() uint64 { return a.ring.Generation }

// Suite is how contents of the domain are named and sealed.
func (a *Access) Suite() format.Suite { return a.suite }

// Reads reports whether it opens records of that secrecy.
func (a *Access) Reads(s format.Secrecy) bool {
	_, held := a.seals[s]
	return held || s == format.Clear
}

// Knows reports whether writers may seal their frame keys to a data key.
func (a *Access) Knows(data ivd.KeyID) bool {
	return slices.ContainsFunc(a.keyring.Data, func(k format.DataKey) bool { return k.ID == data })
}

// Opens is a key that records are sealed with.
func (a *Access) Opens(id ivd.KeyID, s format.Secrecy) (ivd.Key, error) {
	k, held := a.seals[s]
	switch {
	case !held:
		return ivd.Key{}, &ivd.Error{Kind: ivd.Denied, Err: fmt.Errorf("this process has no key for such records"), Remedy: "read it where repository.passphrase_file or repository.backup_key_file is set"}
	case k.id != id:
		return ivd.Key{}, &ivd.Error{Kind: ivd.Unsupported, Err: fmt.Errorf("it is sealed with key %s, which %s does not know", id, a.ring.Object), Remedy: format.UnknownKeyRemedy}
	}
	return k.key, nil
}

// Signer is the public key of who signed a record, if that may sign such records.
func (a *Access) Signer(id ivd.KeyID, m format.Magic) (ed25519.PublicKey, error) {
	if slices.Contains(m.Roles(), format.Root) {
		return format.RootOnly(a.ring.Root).Signer(id, m)
	}
	s, err := a.ring.Signer(id, m)
	return ed25519.PublicKey(s.Public), err
}

// MaySign reports whether this process holds a key that may sign such records.
func (a *Access) MaySign(m format.Magic) bool {
	_, ok := a.signer(m)
	return ok
}

// SignerOf is the id of the key that this process signs such records with; zero: it does
// not.
func (a *Access) SignerOf(m format.Magic) ivd.KeyID {
	s, _ := a.signer(m)
	return s.id
}

func (a *Access) signer(m format.Magic) (signing, bool) {
	for _, s := range a.signing {
		for _, role := range m.Roles() {
			if slices.Contains(s.roles, role) {
				return s, true
			}
		}
	}
	return signing{}, false
}

// Protect makes the object that is stored of a record in the clear. Kind Denied: this
// process may not sign such records.
func (a *Access) Protect(record []byte, object string) ([]byte, error) {
	m := format.Magic(record[:8])
	p := format.Protection{Random: ivd.NewKey()}
	if s := m.Secrecy(); s != format.Clear {
		k, held := a.seals[s]
		if !held {
			return nil, ivd.Errorf(ivd.Denied, "store %s: this process has no key for such records", object)
		}
		p.Key, p.KeyID = k.key, k.id
	}
	if roles := m.Roles(); len(roles) > 0 {
		s, ok := a.signer(m)
		if !ok {
			return nil, &ivd.Error{Kind: ivd.Denied, Op: "store " + object, Err: fmt.Errorf("this process has no key with role %s", roles[0]), Remedy: "do it where repository.passphrase_file is set"}
		}
		p.Signer, p.Sign = s.id, s.key
	}
	return format.Protect(record, object, p)
}

// Writer makes the keys of a new writer: a frame key, sealed to the domain's data key.
func (a *Access) Writer(id ivd.WriterID) (*format.WriterKeys, error) {
	data := a.keyring.Data[len(a.keyring.Data)-1]
	k := &format.WriterKeys{Suite: a.suite, Frame: ivd.NewKey(), DataKey: data.ID}
	b, err := sealed.Seal(data.Public, a.frameKeyInfo(id, data.ID), k.Frame.Reveal())
	if err == nil && len(b) != len(k.SealedFrame) {
		err = fmt.Errorf("%d bytes, want %d", len(b), len(k.SealedFrame))
	}
	if err != nil {
		return nil, fmt.Errorf("seal a frame key to data key %s: %w", data.ID, err)
	}
	copy(k.SealedFrame[:], b)
	_, k.Sign, err = ed25519.GenerateKey(rand.Reader)
	return k, err
}

// FrameKey opens a writer's frame key, as it lies behind the headers of its data packs.
// Kind Denied: this process has no data key.
func (a *Access) FrameKey(h format.PackHeader, frame []byte) (ivd.Key, error) {
	private, held := a.private[h.DataKey]
	switch {
	case len(a.private) == 0:
		return ivd.Key{}, &ivd.Error{Kind: ivd.Denied, Err: fmt.Errorf("chunks cannot be opened here: this process has no data key"), Remedy: "restore where repository.passphrase_file is set"}
	case !held:
		return ivd.Key{}, &ivd.Error{Kind: ivd.Unsupported, Err: fmt.Errorf("the pack is sealed to data key %s, which %s does not know", h.DataKey, a.ring.Object), Remedy: format.UnknownKeyRemedy}
	}
	b, err := private.Open(a.frameKeyInfo(h.Writer, h.DataKey), frame)
	if err != nil || len(b) != 32 {
		return ivd.Key{}, ivd.Errorf(ivd.Corrupt, "the frame key of writer %s does not open", h.Writer)
	}
	return ivd.Key(b), nil
}

// frameKeyInfo is what a sealed frame key is bound to.
func (a *Access) frameKeyInfo(w ivd.WriterID, key ivd.KeyID) sealed.Question {
	return fmt.Appendf(nil, "ivdmover 2026 format 1: frame key %s %s %s %s", a.repository, a.keyring.Domain, w, key)
}
