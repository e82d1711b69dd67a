// Package repo reads and writes a repository on an object store: leases, packs,
// nodes, pages, restore points, and what collections have condemned.
//
// Any number of writers, readers and collectors use one repository at once,
// without a lock and without a common index; COLLECT.md's rules are kept here and
// named in comments (W3 and W4 are package trust's). It promises that a committed point names
// only what is stored, that whatever it hands out has been checked, and that an
// outage is never taken for absence. Time is the store's (rule G3). It never
// deletes anything but a lease that its caller opened and a slot that a person removes,
// and overwrites nothing but repo.json, its signature and the ring, conditionally.
// Damage is an error of kind ivd.Corrupt that names the object. All types are
// safe for concurrent use.
package repo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/store"
)

// Repository is an open repository.
type Repository struct {
	st    store.Store
	info  Info // as it was when the repository was opened; what says where things lie never changes
	clock clock

	domain ivd.DomainID // what is written to, and deduplicated within: repo.json's own, or another of the ring

	secrecy  secrecy
	locks    protection
	unsigned error // why repo.json was taken though the root has not signed it

	mu        sync.Mutex
	latest    Info                              // guarded by mu: as it was read last
	signed    ivd.ContentID                     // guarded by mu: Sum of the repo.json that was found to be signed last
	proof     *proof                            // guarded by mu: of the store, once it was asked for
	forgotten map[ivd.PointID]*format.Forgotten // guarded by mu: marks that were read; some of them
}

// InitOptions are a new repository's choices.
type InitOptions struct {
	ChunkSize    int64         // 0: by the disk's capacity
	PackSize     int64         // 0: by what is expected
	ExpectedSize int64         // bytes that will be stored, as far as that can be told; 0: not much
	Argon2       format.Argon2 // of the passphrase; zero: format.DefaultArgon2
	Passphrase   ivd.Secret    // the repository is encrypted, and opens with it; empty: it is plain
}

// packSize is the size of packs that the options ask for.
func (o InitOptions) packSize() int64 {
	switch {
	case o.PackSize != 0:
		return o.PackSize
	case o.ExpectedSize >= largeRepository:
		return largePackSize
	}
	return format.PackSize
}

// Validate refuses choices that no repository can have, kind Invalid.
func (o InitOptions) Validate() error {
	if o.ChunkSize != 0 {
		if err := (ivd.Geometry{ChunkSize: o.ChunkSize}).Validate(); err != nil {
			return &ivd.Error{Kind: ivd.Invalid, Op: "make a repository", Err: err}
		}
	}
	if err := checkPackSize(o.packSize()); err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Op: "make a repository", Err: err}
	}
	return checkPassphrase(o.Passphrase)
}

// checkPassphrase refuses what would be taken for another kind of secret when the
// repository is opened.
func checkPassphrase(p ivd.Secret) error {
	opening, err := keys.ReadOpening(p)
	if err != nil || opening.Kind() != format.PassphraseSlot {
		return &ivd.Error{Kind: ivd.Invalid, Op: "make a repository", Err: errors.New("what is given for its passphrase is keys of another repository"), Remedy: "choose a passphrase"}
	}
	return nil
}

// Init makes a repository on an empty store. Kind Exists: there is one already. What
// the store refuses is not looked at here: see Prove.
func Init(ctx context.Context, st store.Store, o InitOptions) (*Repository, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	info := Info{
		Version: FormatVersion, ID: uuid.NewString(), Domain: ivd.NewDomainID(), ChunkSize: o.ChunkSize, PackSize: o.packSize(),
		Hash: hashBLAKE3, Cipher: cipherNone, Created: time.Now().UTC().Truncate(time.Second),
		Features:   Features{Read: []string{}, Write: []string{}, Collect: []string{}},
		Generation: 1, Incarnation: ivd.NewIncarnationID(), Program: program(),
	}
	if err := Vacant(ctx, st); err != nil {
		return nil, err
	}
	var master *keys.Master
	if o.Passphrase != "" {
		var err error
		if master, err = makeKeys(ctx, st, &info, o); err != nil {
			return nil, fmt.Errorf("make a repository at %s: %w", st, err)
		}
	}
	body, err := encodeInfo(info, nil)
	if err != nil {
		return nil, err
	}
	if master != nil {
		if err := signFirst(ctx, st, master, state{info, body}); err != nil {
			return nil, fmt.Errorf("make a repository at %s: %w", st, err)
		}
	}
	err = create(ctx, st, repoName, body)
	// Whatever the answer was, what is stored now decides: a creation that was
	// answered with an error may have happened.
	r, openErr := OpenWith(ctx, st, Keys{Passphrase: o.Passphrase})
	switch {
	case err == nil || openErr == nil && r.info.ID == info.ID:
		return r, openErr
	case openErr == nil || ivd.KindOf(err) == ivd.Exists:
		return nil, there(st)
	}
	return nil, fmt.Errorf("make a repository at %s: %w", st, err)
}

// Vacant refuses a store that has a repository already, or what is left of one, with
// kind Exists.
func Vacant(ctx context.Context, st store.Store) error {
	_, err := st.Stat(ctx, repoName)
	if err == nil {
		return there(st)
	}
	if ivd.KindOf(err) == ivd.NotFound {
		if err = headless(ctx, st, ivd.Exists); err == nil {
			return nil
		}
	}
	return fmt.Errorf("make a repository at %s: %w", st, err)
}

// headless is an error of that kind where repo.json is missing, and a repository's objects
// are not.
func headless(ctx context.Context, st store.Store, kind ivd.Kind) error {
	for _, dir := range []string{pointsDir, dataDir, indexDir, runsDir, writersDir} {
		for o, err := range st.List(ctx, dir) {
			if err != nil {
				return fmt.Errorf("list %s: %w", dir, err)
			}
			return &ivd.Error{
				Kind: kind, Err: fmt.Errorf("%s is missing, and a repository's objects are there, such as %s", repoName, o.Name),
				Remedy: fmt.Sprintf("put %s back from a copy, or from its last version in the bucket; delete nothing, least of all what is below %s", repoName, keysDir),
			}
		}
	}
	return nil
}

// there is why no repository is made.
func there(st store.Store) error {
	return &ivd.Error{Kind: ivd.Exists, Op: fmt.Sprintf("make a repository at %s", st), Err: errors.New("there is one already"), Remedy: "use it, or choose another bucket or prefix"}
}

// create makes an object once, on behalf of no lease.
func create(ctx context.Context, st store.Store, name store.Name, body []byte) error {
	p, err := st.Prepare(ctx, ivd.NewLeaseID(), name, body, commitExpiry)
	if err != nil {
		return err
	}
	defer p.Discard()
	return p.Send(ctx)
}

// Open opens the plain repository of a store. Kinds as of OpenWith.
func Open(ctx context.Context, st store.Store) (*Repository, error) {
	return OpenWith(ctx, st, Keys{})
}

// OpenWith opens the repository of a store, with its keys where it is encrypted. Kind
// NotFound: there is none. Kind Unsupported: it is of a newer format. Kind Denied: the
// keys are not its. Kind Corrupt: it is not what the keys were made for.
func OpenWith(ctx context.Context, st store.Store, k Keys) (*Repository, error) {
	r, _, err := openWith(ctx, st, k)
	return r, err
}

func openWith(ctx context.Context, st store.Store, k Keys) (*Repository, openedSlot, error) {
	r, o, err := describe(ctx, st)
	if err != nil {
		return nil, openedSlot{}, err
	}
	opened, err := r.unlock(ctx, k)
	if err == nil && r.info.sealed() {
		err = r.settle(ctx, o, k.Adopting)
	}
	if err != nil {
		return nil, openedSlot{}, fmt.Errorf("open the repository at %s: %w", st, err)
	}
	return r, opened, nil
}

// describe is the repository of a store as its repo.json says, which is all that is known
// of it without keys.
func describe(ctx context.Context, st store.Store) (*Repository, store.Object, error) {
	r := &Repository{st: st}
	info, o, err := r.read(ctx)
	if err != nil {
		return nil, o, opening(ctx, st, err)
	}
	r.info, r.latest, r.domain = info, info, info.Domain
	return r, o, nil
}

// settle takes repo.json as the root has signed it, once the root is known; who adopts
// takes any.
func (r *Repository) settle(ctx context.Context, o store.Object, adopting bool) error {
	signed, err := r.checkSigned(ctx, o)
	switch {
	case ivd.KindOf(err) == ivd.Corrupt && adopting:
		r.unsigned = err
		return nil
	case err != nil:
		return err
	}
	info, err := decodeInfo(signed.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", repoName, err)
	}
	return r.saw(info)
}

// ReadInfo reads what the repository of a store says of itself, which no key is needed
// for. Kinds as of OpenWith.
func ReadInfo(ctx context.Context, st store.Store) (Info, error) {
	r, _, err := describe(ctx, st)
	if err != nil {
		return Info{}, err
	}
	return r.info, nil
}

// OpenKeyless is the repository of a store for who has no key, and only compares packs
// with their names. Kinds as of OpenWith.
func OpenKeyless(ctx context.Context, st store.Store) (*Repository, error) {
	r, _, err := describe(ctx, st)
	return r, err
}

// ErrNone is of a store in which there is no repository.
var ErrNone = errors.New("no repository")

// none is an error that is ErrNone.
type none struct{ error }

func (none) Is(target error) bool { return target == ErrNone }
func (n none) Unwrap() error      { return n.error }

// opening is an error of opening the repository of a store.
func opening(ctx context.Context, st store.Store, err error) error {
	if err == nil {
		return nil
	}
	if ivd.KindOf(err) == ivd.NotFound {
		if lost := headless(ctx, st, ivd.NotFound); lost != nil {
			return fmt.Errorf("open the repository at %s: %w", st, lost)
		}
		return &ivd.Error{Kind: ivd.NotFound, Op: fmt.Sprintf("open the repository at %s", st), Err: none{err}, Remedy: "run `ivd repo init`, or correct repository.url"}
	}
	return fmt.Errorf("open the repository at %s: %w", st, err)
}

// ID is the repository's id, a UUID.
func (r *Repository) ID() string { return r.info.ID }

// Root is the id of an encrypted repository's root key; zero: the repository is plain.
func (r *Repository) Root() ivd.KeyID { return r.info.Root }

// PackSize is how large packs become here: one is finished when another frame
// would make it larger.
func (r *Repository) PackSize() int { return int(r.Info().PackSize) }

// Store is where the repository lies.
func (r *Repository) Store() store.Store { return r.st }

// Geometry is how a disk without a parent is cut here. A child keeps its
// parent's chunk size.
func (r *Repository) Geometry(capacity int64) ivd.Geometry {
	g := ivd.Geometry{Capacity: capacity, ChunkSize: r.Info().ChunkSize}
	if g.ChunkSize == 0 {
		g.ChunkSize = ivd.AutoChunkSize(capacity)
	}
	return g
}

// get reads a small object, and the store's clock with it.
func (r *Repository) get(ctx context.Context, name store.Name, limit int64) (store.Object, error) {
	o, err := r.st.Get(ctx, name, limit)
	if err != nil {
		return o, fmt.Errorf("read %s: %w", name, err)
	}
	if !o.Now.IsZero() {
		r.clock.set(o.Now)
	}
	return o, nil
}

// timed refuses an answer that does not say what time it is, where something depends
// on it.
func timed(name store.Name, now time.Time) error {
	if now.IsZero() {
		return ivd.Errorf(ivd.Unsupported, "read %s: the store does not say what time it is", name)
	}
	return nil
}
