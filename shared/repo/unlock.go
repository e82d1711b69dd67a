package repo

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
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

// Keys are what an encrypted repository is opened with. Without any only a plain
// repository is opened, and with any only an encrypted one.
type Keys struct {
	// Passphrase opens a slot: everything may be done. It is a passphrase, the content of
	// a key file, or what a recovery sheet says.
	Passphrase ivd.Secret
	Export     *keys.Export // backups only; beside a passphrase, whose repository it must be, and who signs restore points
	Grant      *keys.Grant  // what a mover got of its coordinator

	// Domain is the name, or the id, of the domain that is worked in; empty: that of the
	// export or the grant, else the repository's own.
	Domain string

	Root ivd.KeyID // of the only root key that is taken; zero: any, and none

	// Adopting: repo.json is about to be changed, by who has a passphrase. The root key is
	// kept for that, and a repo.json that it has not signed is taken for what it says.
	Adopting bool

	Packs PackKeys // asked for keys of packs beside a grant or an export; nil: no chunk is opened by these

	// Register signs and stores a writer's record where this process cannot: a mover asks
	// its coordinator. To do it again is harmless.
	Register func(ctx context.Context, w format.Writer) error
}

// ErrEncrypted is why a repository does not open without keys.
var ErrEncrypted = errors.New("it is encrypted")

func (k Keys) any() bool { return k.Passphrase != "" || k.Export != nil || k.Grant != nil }

// unlock opens the keys of the repository that r.info describes, and returns the slot
// that was opened, if one was.
func (r *Repository) unlock(ctx context.Context, k Keys) (openedSlot, error) {
	if err := r.takes(k); err != nil {
		return openedSlot{}, err
	}
	if err := r.enter(ctx, k); err != nil || !k.any() {
		return openedSlot{}, err
	}
	made, opened, err := r.maker(ctx, k)
	if err != nil {
		return openedSlot{}, err
	}
	r.secrecy.packs, r.secrecy.register, r.secrecy.made = k.Packs, k.Register, made
	return opened, r.renew(ctx)
}

// takes refuses keys for a repository that needs none, none for one that needs some, and
// one of another root than is pinned.
func (r *Repository) takes(k Keys) error {
	if err := r.pins(k.Root); err != nil {
		return err
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
			Kind: ivd.Denied, Err: ErrEncrypted,
			Remedy: "set repository.passphrase_file, or repository.backup_key_file for a coordinator that only backs up",
		}
	}
	return nil
}

// pins refuses a repository of another root key than the one that is pinned, if one is.
func (r *Repository) pins(root ivd.KeyID) error {
	if root.IsZero() || root == r.info.Root {
		return nil
	}
	return WrongRoot(r.info, root)
}

// WrongRoot is why a repository is not opened by who knows it by another root key.
func WrongRoot(i Info, root ivd.KeyID) error {
	return &ivd.Error{
		Kind: ivd.Corrupt, Err: fmt.Errorf("%s says that %s, and repository.root is %s", repoName, i.rooted(), root),
		Remedy: "correct repository.url or repository.root; where neither is wrong, find out who changed " + string(repoName),
	}
}

// maker is what makes of the ring's object what a process with these keys works with,
// and the slot that was opened for it.
func (r *Repository) maker(ctx context.Context, k Keys) (made func(ring []byte) (*keys.Access, error), opened openedSlot, err error) {
	var own func([]byte) (*keys.Access, error)
	switch {
	case k.Export != nil:
		own, err = r.pinned(k.Export.Repository, k.Export.Domain, k.Export.Root, k.Export.Access)
	case k.Grant != nil:
		own, err = r.pinned(k.Grant.Repository, k.Grant.Domain, k.Grant.Root, k.Grant.Access)
	}
	if err != nil || k.Passphrase == "" {
		return own, opened, err
	}
	if opened, err = r.openSlot(ctx, k.Passphrase); err != nil {
		return nil, opened, err
	}
	if k.Adopting {
		o, err := r.get(ctx, ringName, maxRing)
		if err == nil {
			r.secrecy.root, err = r.master(opened.content, o.Body)
		}
		if err != nil {
			return nil, opened, err
		}
	}
	return func(ring []byte) (*keys.Access, error) {
		m, err := r.master(opened.content, ring)
		if err != nil {
			return nil, err
		}
		all, err := m.Access(r.domain)
		if err == nil && own != nil {
			var signing *keys.Access
			if signing, err = own(ring); err == nil {
				all.SignAs(signing)
			}
		}
		return all, err
	}, opened, nil
}

// pinned is the maker of who holds keys of this repository, domain and root.
func (r *Repository) pinned(repository string, domain ivd.DomainID, root []byte, access func(format.Ring) (*keys.Access, error)) (func([]byte) (*keys.Access, error), error) {
	if repository != r.info.ID || domain != r.domain || format.KeyOf(root) != r.info.Root {
		return nil, &ivd.Error{
			Kind: ivd.Denied, Err: fmt.Errorf("the keys are of domain %s of repository %s, and here is domain %s of repository %s", domain, repository, r.domain, r.info.ID),
			Remedy: "correct repository.url or repository.backup_key_file, or have keys exported of this one with `ivd repo key export --backup`; where neither is wrong, find out who changed " + string(repoName),
		}
	}
	return func(object []byte) (*keys.Access, error) {
		ring, err := keys.ReadRing(object, r.at(ringName), ed25519.PublicKey(root))
		if err != nil {
			return nil, err
		}
		return access(ring)
	}, nil
}

// openedSlot is a slot that was opened.
type openedSlot struct {
	name    store.Name
	body    []byte
	content format.SlotContent
}

// openSlot opens a slot with a secret: a passphrase, the content of a key file, or what a
// recovery sheet says. Kind Denied: no slot opens with it.
func (r *Repository) openSlot(ctx context.Context, secret ivd.Secret) (openedSlot, error) {
	opening, err := keys.ReadOpening(secret)
	if err != nil {
		return openedSlot{}, err
	}
	if err := opening.Fits(r.info.ID, r.info.Domain, r.info.Root); err != nil {
		return openedSlot{}, err
	}
	slots, err := r.slotNames(ctx)
	if err != nil {
		return openedSlot{}, err
	}
	ring, err := r.readRing(ctx) // it has the root's public key, of which repo.json has the id; without it nothing opens
	if err != nil {
		return openedSlot{}, err
	}
	var tried tried
	for _, name := range slots {
		s, err := r.openOne(ctx, opening, name, ed25519.PublicKey(ring.Root))
		if err == nil {
			return s, nil
		}
		tried.add(err) // another one may open
	}
	return openedSlot{}, tried.refused(opening)
}

// tried is why slots were not opened. None keeps the others from being tried.
type tried struct {
	unread error // of the last one that cannot be read
	away   error // of the last one that could not be asked for: it might be the one
}

func (t *tried) add(err error) {
	switch ivd.KindOf(err) {
	case ivd.NotFound, ivd.Denied: // it was removed meanwhile, or is another's
	case ivd.Corrupt, ivd.Unsupported:
		t.unread = err
	default:
		t.away = err
	}
}

// refused is the error of who has opened none.
func (t tried) refused(by keys.Opening) error {
	const remedy = "correct repository.passphrase_file or repository.url; `ivd repo key list` shows what opens this one"
	switch {
	case t.away != nil:
		return t.away
	case t.unread != nil:
		return &ivd.Error{Kind: ivd.KindOf(t.unread), Err: fmt.Errorf("%w, and one cannot be read: %w", by.Refused(), t.unread), Remedy: remedy}
	}
	return &ivd.Error{Kind: ivd.Denied, Err: by.Refused(), Remedy: remedy}
}

// openOne opens one slot. What the root has not signed is not tried: a forged slot costs
// nobody the time and the memory that it says. Kind Denied: it is another's. Kind NotFound,
// Corrupt, Unsupported: there is none to open.
func (r *Repository) openOne(ctx context.Context, by keys.Opening, name store.Name, root ed25519.PublicKey) (openedSlot, error) {
	o, err := r.get(ctx, name, maxSlot)
	if err != nil {
		return openedSlot{}, err
	}
	if _, err := format.Unprotect(o.Body, format.SlotMagic, format.RootOnly(root)); err != nil {
		return openedSlot{}, fmt.Errorf("%s: %w", name, err)
	}
	c, err := by.Open(o.Body, r.at(name))
	return openedSlot{name, o.Body, c}, err
}

// readRing reads the ring, which must be signed by the root that repo.json names. No key is
// needed for what is public of it.
func (r *Repository) readRing(ctx context.Context) (format.Ring, error) {
	o, err := r.get(ctx, ringName, maxRing)
	if err != nil {
		return format.Ring{}, err
	}
	at := r.at(ringName)
	ring, err := format.ReadRing(o.Body, at)
	if err == nil && format.KeyOf(ring.Root) != r.info.Root {
		err = ivd.Errorf(ivd.Corrupt, "%s is of root key %s, and %s names %s", ringName, format.KeyOf(ring.Root), repoName, r.info.Root)
	}
	if err != nil {
		return format.Ring{}, fmt.Errorf("%s: %w", ringName, err)
	}
	return keys.ReadRing(o.Body, at, ed25519.PublicKey(ring.Root))
}

// slotNames lists the slots in the order of their numbers.
func (r *Repository) slotNames(ctx context.Context) ([]store.Name, error) {
	names, err := r.names(ctx, slotDir)
	slices.SortFunc(names, func(a, b store.Name) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) // no number begins with 0
	})
	return names, err
}

// Master opens all keys of an encrypted repository, with a secret as openSlot takes it.
// Kind Denied: no slot opens with it.
func (r *Repository) Master(ctx context.Context, secret ivd.Secret) (*keys.Master, error) {
	opened, err := r.openSlot(ctx, secret)
	if err != nil {
		return nil, err
	}
	o, err := r.get(ctx, ringName, maxRing)
	if err != nil {
		return nil, err
	}
	return r.master(opened.content, o.Body)
}

// master is what a slot's content opens of the ring.
func (r *Repository) master(c format.SlotContent, ring []byte) (*keys.Master, error) {
	m, err := keys.Open(c, ring, r.at(ringName))
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
