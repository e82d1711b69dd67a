package repo

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"strings"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/store"
)

const (
	keysDir             = "keys/"
	ringName store.Name = keysDir + "ring"
	slotDir             = keysDir + "slot-"
	maxSlot             = 64 << 10
	maxRing             = 1 << 20
)

// Keys are what an encrypted repository is opened with: one of them. Without any only
// a plain repository is opened, and with any only an encrypted one.
type Keys struct {
	Passphrase ivd.Secret   // of a slot: everything may be done
	Export     *keys.Export // backups only
	Grant      *keys.Grant  // what a mover got of its coordinator

	Root ivd.KeyID // of the only root key that is taken; zero: any, and none

	// Adopting: repo.json is about to be changed, by who has a passphrase. The root key is
	// kept for that, and a repo.json that it has not signed is taken for what it says.
	Adopting bool

	// Beside a grant, and for reading beside an export: who is asked for what this
	// process cannot do.
	Packs    PackKeys
	Register func(ctx context.Context, w format.Writer) error // sign and store a writer's record
}

func (k Keys) any() bool { return k.Passphrase != "" || k.Export != nil || k.Grant != nil }

// unlock opens the keys of the repository that r.info describes.
func (r *Repository) unlock(ctx context.Context, k Keys) error {
	if !k.Root.IsZero() && k.Root != r.info.Root {
		return &ivd.Error{
			Kind: ivd.Corrupt, Err: fmt.Errorf("%s says that %s, and repository.root is %s", repoName, r.info.rooted(), k.Root),
			Remedy: "correct repository.url or repository.root; where neither is wrong, find out who changed " + string(repoName),
		}
	}
	switch sealed := r.info.sealed(); {
	case !sealed && !k.any():
		return nil
	case !sealed:
		return &ivd.Error{
			Kind: ivd.Corrupt, Err: fmt.Errorf("%s says that the repository is plain, and keys are given for it", repoName),
			Remedy: "find out who changed it; for a plain repository leave out repository.passphrase_file and repository.backup_key_file",
		}
	case !k.any():
		return &ivd.Error{
			Kind: ivd.Denied, Err: fmt.Errorf("it is encrypted"),
			Remedy: "set repository.passphrase_file, or repository.backup_key_file for a coordinator that only backs up",
		}
	}
	r.secrecy.packs, r.secrecy.register = k.Packs, k.Register
	var err error
	switch {
	case k.Export != nil:
		r.secrecy.access, err = r.pinned(ctx, k.Export.Repository, k.Export.Domain, k.Export.Root, k.Export.Access)
	case k.Grant != nil:
		r.secrecy.access, err = r.pinned(ctx, k.Grant.Repository, k.Grant.Domain, k.Grant.Root, k.Grant.Access)
	default:
		var m *keys.Master
		if m, err = r.Master(ctx, k.Passphrase); err == nil {
			r.secrecy.access, err = m.Access(r.info.Domain)
		}
		if k.Adopting {
			r.secrecy.root = m
		}
	}
	return err
}

// pinned is what who holds keys of this repository, domain and root works with.
func (r *Repository) pinned(ctx context.Context, repository string, domain ivd.DomainID, root []byte, access func(format.Ring) (*keys.Access, error)) (*keys.Access, error) {
	if repository != r.info.ID || domain != r.info.Domain || format.KeyOf(root) != r.info.Root {
		return nil, &ivd.Error{
			Kind: ivd.Denied, Err: fmt.Errorf("the keys are of domain %s of repository %s, and here is domain %s of repository %s", domain, repository, r.info.Domain, r.info.ID),
			Remedy: "correct repository.url or repository.backup_key_file; where neither is wrong, find out who changed " + string(repoName),
		}
	}
	ring, err := r.ring(ctx, ed25519.PublicKey(root))
	if err != nil {
		return nil, err
	}
	return access(ring)
}

// ring reads keys/ring, which must be signed by that root.
func (r *Repository) ring(ctx context.Context, root ed25519.PublicKey) (format.Ring, error) {
	o, err := r.get(ctx, ringName, maxRing)
	if err != nil {
		return format.Ring{}, err
	}
	return keys.ReadRing(o.Body, r.at(ringName), root)
}

// Master opens all keys of an encrypted repository with a passphrase. Kind Denied: no
// slot opens with it.
func (r *Repository) Master(ctx context.Context, passphrase ivd.Secret) (*keys.Master, error) {
	slots, err := r.names(ctx, keysDir)
	if err != nil {
		return nil, err
	}
	var damaged error
	for _, name := range slots {
		if !strings.HasPrefix(string(name), slotDir) {
			continue
		}
		o, err := r.get(ctx, name, maxSlot)
		if err != nil {
			return nil, err
		}
		c, err := format.OpenSlot(o.Body, r.at(name), []byte(passphrase.Reveal()))
		switch {
		case err == nil:
			return r.opened(ctx, c)
		case ivd.KindOf(err) != ivd.Denied:
			damaged = err // another one may open
		}
	}
	if damaged != nil {
		return nil, damaged
	}
	return nil, &ivd.Error{Kind: ivd.Denied, Err: fmt.Errorf("no slot below %s opens with this passphrase", keysDir), Remedy: "correct repository.passphrase_file"}
}

func (r *Repository) opened(ctx context.Context, c format.SlotContent) (*keys.Master, error) {
	o, err := r.get(ctx, ringName, maxRing)
	if err != nil {
		return nil, err
	}
	m, err := keys.Open(c, o.Body, r.at(ringName))
	if err == nil && m.Root() != r.info.Root {
		err = ivd.Errorf(ivd.Corrupt, "%s names root key %s, and the slot holds %s", repoName, r.info.Root, m.Root())
	}
	return m, err
}

// makeKeys stores the keys of a repository that is being made.
func makeKeys(ctx context.Context, st store.Store, info *Info, o InitOptions) (*keys.Master, error) {
	head := func(name store.Name) format.Head {
		return format.Head{Repository: info.ID, Domain: info.Domain, Object: string(name), Program: program()}
	}
	now := time.Now()
	m, err := keys.New(head(ringName), now)
	if err != nil {
		return nil, err
	}
	slot := format.Slot{Head: head(slotDir + "1"), Kind: format.PassphraseSlot, Name: "first", Created: now.UTC().Truncate(time.Second), Argon2: o.Argon2}
	if slot.Argon2 == (format.Argon2{}) {
		slot.Argon2 = format.DefaultArgon2
	}
	sealed, err := m.Slot(slot, []byte(o.Passphrase.Reveal()))
	if err != nil {
		return nil, err
	}
	ring, err := m.Ring()
	if err != nil {
		return nil, err
	}
	for _, o := range []struct {
		name store.Name
		body []byte
	}{{slotDir + "1", sealed}, {ringName, ring}} {
		if err := create(ctx, st, o.name, o.body); err != nil {
			return nil, brokenOff(o.name, err)
		}
	}
	info.Cipher, info.Hash, info.Root = keys.Cipher, keys.Hash, m.Root()
	return m, nil
}

// brokenOff says what to do where one of the first objects of a repository is there.
func brokenOff(name store.Name, err error) error {
	if ivd.KindOf(err) != ivd.Exists {
		return err
	}
	return &ivd.Error{
		Kind: ivd.Exists, Err: fmt.Errorf("%s is there already: a repository is being made here, or its making was broken off", name),
		Remedy: fmt.Sprintf("use another bucket or prefix, or delete %s and what is below %s when nobody else is at it", signatureName, keysDir),
	}
}
