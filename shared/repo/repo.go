// Package repo reads and writes a repository on an object store: leases, packs,
// nodes, pages, restore points, and what collections have condemned.
//
// Any number of writers, readers and collectors use one repository at once,
// without a lock and without a common index; COLLECT.md's rules are kept here and
// named in comments (W3 and W4 are package trust's). It promises that a committed point names
// only what is stored, that whatever it hands out has been checked, and that an
// outage is never taken for absence. Time is the store's (rule G3). It never
// deletes anything but a lease that its caller opened, and never overwrites.
// Damage is an error of kind ivd.Corrupt that names the object. All types are
// safe for concurrent use.
package repo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// FormatVersion is the newest format of a repository that is read, and the one
// that Init makes.
const FormatVersion = 1

const (
	hashBLAKE3 = "blake3-256"
	cipherNone = "none"
)

// Info is repo.json: what a repository is.
type Info struct {
	Version   int          `json:"version"`
	ID        string       `json:"id"`         // a UUID
	Domain    ivd.DomainID `json:"domain"`     // the one domain of a plain repository
	ChunkSize int64        `json:"chunk_size"` // of first backups; 0 chooses by the disk's capacity
	PackSize  int64        `json:"pack_size"`  // a pack is finished when another frame would make it larger
	Hash      string       `json:"hash"`
	Cipher    string       `json:"cipher"`
	Created   time.Time    `json:"created"`
}

// Repository is an open repository.
type Repository struct {
	st    store.Store
	info  Info
	clock clock
}

// InitOptions are a new repository's choices.
type InitOptions struct {
	ChunkSize int64 // 0: by the disk's capacity
	PackSize  int64 // 0: format.PackSize
}

// Init makes a repository on an empty store. Kind Exists: there is one already.
func Init(ctx context.Context, st store.Store, o InitOptions) (*Repository, error) {
	if o.ChunkSize != 0 {
		if err := (ivd.Geometry{ChunkSize: o.ChunkSize}).Validate(); err != nil {
			return nil, &ivd.Error{Kind: ivd.Invalid, Op: "make a repository", Err: err}
		}
	}
	info := Info{
		Version: FormatVersion, ID: uuid.NewString(), Domain: ivd.NewDomainID(), ChunkSize: o.ChunkSize, PackSize: cmp.Or(o.PackSize, format.PackSize),
		Hash: hashBLAKE3, Cipher: cipherNone, Created: time.Now().UTC().Truncate(time.Second),
	}
	if err := checkPackSize(info.PackSize); err != nil {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: "make a repository", Err: err}
	}
	body, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", repoName, err)
	}
	err = create(ctx, st, repoName, append(body, '\n'))
	// Whatever the answer was, what is stored now decides: a creation that was
	// answered with an error may have happened.
	r, openErr := Open(ctx, st)
	switch {
	case err == nil || openErr == nil && r.info.ID == info.ID:
		return r, openErr
	case openErr == nil || ivd.KindOf(err) == ivd.Exists:
		return nil, &ivd.Error{Kind: ivd.Exists, Op: fmt.Sprintf("make a repository at %s", st), Err: fmt.Errorf("there is one already"), Remedy: "use it, or choose another bucket or prefix"}
	}
	return nil, fmt.Errorf("make a repository at %s: %w", st, err)
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

// Open opens the repository of a store. Kind NotFound: there is none. Kind
// Unsupported: it is of a newer format.
func Open(ctx context.Context, st store.Store) (*Repository, error) {
	r := &Repository{st: st}
	o, err := r.get(ctx, repoName, 64<<10)
	if err != nil {
		if ivd.KindOf(err) == ivd.NotFound {
			return nil, &ivd.Error{Kind: ivd.NotFound, Op: fmt.Sprintf("open the repository at %s", st), Err: err, Remedy: "run `ivd repo init`, or correct repository.url"}
		}
		return nil, fmt.Errorf("open the repository at %s: %w", st, err)
	}
	if err := json.Unmarshal(o.Body, &r.info); err != nil {
		return nil, ivd.Errorf(ivd.Corrupt, "open the repository at %s: %s: %w", st, repoName, err)
	}
	if err := r.info.check(); err != nil {
		return nil, fmt.Errorf("open the repository at %s: %s: %w", st, repoName, err)
	}
	return r, nil
}

func (i Info) check() error {
	unsupported := func(format string, args ...any) error {
		return &ivd.Error{Kind: ivd.Unsupported, Err: fmt.Errorf(format, args...), Remedy: "use a release of ivd that knows this format"}
	}
	switch {
	case i.Version > FormatVersion:
		return unsupported("format version %d is newer than this release, which reads up to %d", i.Version, FormatVersion)
	case i.Version < 1:
		return ivd.Errorf(ivd.Corrupt, "format version %d", i.Version)
	case i.Hash != hashBLAKE3:
		return unsupported("hash %q", i.Hash)
	case i.Cipher != cipherNone:
		return unsupported("cipher %q: this release reads plain repositories only", i.Cipher)
	}
	if u, err := uuid.Parse(i.ID); err != nil || u.String() != i.ID {
		return ivd.Errorf(ivd.Corrupt, "id %q is no UUID", i.ID)
	}
	if i.Domain.IsZero() {
		return ivd.Errorf(ivd.Corrupt, "no domain")
	}
	if i.ChunkSize != 0 {
		if err := (ivd.Geometry{ChunkSize: i.ChunkSize}).Validate(); err != nil {
			return ivd.Errorf(ivd.Corrupt, "%w", err)
		}
	}
	if err := checkPackSize(i.PackSize); err != nil {
		return unsupported("%w", err)
	}
	return nil
}

// minPackSize keeps any chunk from being larger than a pack.
const minPackSize = 2 * ivd.MaxChunkSize

func checkPackSize(n int64) error {
	if n < minPackSize || n > format.LargestPackSize {
		return fmt.Errorf("pack size %d: want %d to %d bytes", n, int64(minPackSize), int64(format.LargestPackSize))
	}
	return nil
}

// ID is the repository's id, a UUID.
func (r *Repository) ID() string { return r.info.ID }

// Domain is the repository's domain.
func (r *Repository) Domain() ivd.DomainID { return r.info.Domain }

// PackSize is how large packs become here: one is finished when another frame
// would make it larger.
func (r *Repository) PackSize() int { return int(r.info.PackSize) }

// Info is what repo.json says.
func (r *Repository) Info() Info { return r.info }

// Store is where the repository lies.
func (r *Repository) Store() store.Store { return r.st }

// Geometry is how a disk without a parent is cut here. A child keeps its
// parent's chunk size.
func (r *Repository) Geometry(capacity int64) ivd.Geometry {
	g := ivd.Geometry{Capacity: capacity, ChunkSize: r.info.ChunkSize}
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
	if o.Now.IsZero() {
		return o, ivd.Errorf(ivd.Unsupported, "read %s: the store does not say what time it is", name)
	}
	r.clock.set(o.Now)
	return o, nil
}
