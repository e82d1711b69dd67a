package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
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
	Root      ivd.KeyID    `json:"root,omitzero"` // the id of an encrypted repository's root key
	Created   time.Time    `json:"created"`

	Features    Features          `json:"features"`
	Generation  uint64            `json:"generation"`  // grows with every change of this object
	Incarnation ivd.IncarnationID `json:"incarnation"` // random; another one after an adoption
	Program     string            `json:"program"`     // which wrote this object
}

// Features are words for what the format did not have from its beginning. Who does
// not know a word may do less.
type Features struct {
	Read    []string `json:"read"`    // not known: nothing
	Write   []string `json:"write"`   // not known: only restore and verify
	Collect []string `json:"collect"` // not known: anything but forget, retire and collect
}

// Use is what somebody wants to do with a repository.
type Use string

// The uses.
const (
	Reading    Use = "read"
	Writing    Use = "write"
	Collecting Use = "collect"
)

// features are the words that this release knows.
var features []string

// Allows refuses a use for which the repository has a feature that this release
// does not know, with kind Unsupported.
func (i Info) Allows(use Use) error {
	words := i.Features.Read
	if use != Reading {
		words = append(slices.Clone(words), i.Features.Write...)
	}
	if use == Collecting {
		words = append(words, i.Features.Collect...)
	}
	for _, w := range words {
		if !slices.Contains(features, w) {
			return &ivd.Error{
				Kind: ivd.Unsupported, Op: fmt.Sprintf("%s repository %s", use, i.ID),
				Err:    fmt.Errorf("%s: it has feature %q, which this release does not know", repoName, w),
				Remedy: "use a release of ivd that knows this feature",
			}
		}
	}
	return nil
}

// Encrypted reports whether only keys open the repository.
func (i Info) Encrypted() bool { return i.sealed() }

// sealed reports whether the repository is encrypted.
func (i Info) sealed() bool { return i.Cipher != cipherNone }

// rooted says what the repository's root key is.
func (i Info) rooted() string {
	if !i.sealed() {
		return "the repository is plain"
	}
	return "its root key is " + i.Root.String()
}

func (i Info) check() error {
	unsupported := func(format string, args ...any) error {
		return &ivd.Error{Kind: ivd.Unsupported, Err: fmt.Errorf(format, args...), Remedy: "use a release of ivd that knows this format"}
	}
	switch {
	case i.Version > FormatVersion:
		return unsupported("format version %d is newer than this release, which reads up to %d", i.Version, FormatVersion)
	case i.Version < 1:
		return unsupported("format version %d", i.Version)
	case i.Cipher != cipherNone && i.Cipher != keys.Cipher:
		return unsupported("cipher %q", i.Cipher)
	case i.sealed() && i.Hash != keys.Hash, !i.sealed() && i.Hash != hashBLAKE3:
		return unsupported("hash %q with cipher %q", i.Hash, i.Cipher)
	case i.sealed() == i.Root.IsZero():
		return ivd.Errorf(ivd.Corrupt, "cipher %q and root key %s", i.Cipher, i.Root)
	}
	if u, err := uuid.Parse(i.ID); err != nil || u.String() != i.ID {
		return ivd.Errorf(ivd.Corrupt, "id %q is no UUID", i.ID)
	}
	if i.ChunkSize != 0 {
		if err := (ivd.Geometry{ChunkSize: i.ChunkSize}).Validate(); err != nil {
			return ivd.Errorf(ivd.Corrupt, "%w", err)
		}
	}
	if i.Domain.IsZero() {
		return ivd.Errorf(ivd.Corrupt, "no domain")
	}
	if i.Incarnation == "" || i.Generation == 0 {
		return ivd.Errorf(ivd.Corrupt, "generation %d of incarnation %q", i.Generation, i.Incarnation)
	}
	if err := checkPackSize(i.PackSize); err != nil {
		return unsupported("%w", err)
	}
	return i.Allows(Reading)
}

// What repo.json may say of the size of packs.
const (
	minPackSize   = 2 * ivd.MaxChunkSize // keeps any chunk from being larger than a pack
	largePackSize = 64 << 20             // what a repository of largeRepository takes
	// largeRepository is what is expected to be stored: so many packs of the usual
	// size would make lists of them long.
	largeRepository = 50 << 40
)

func checkPackSize(n int64) error {
	if n < minPackSize || n > format.LargestPackSize {
		return fmt.Errorf("pack size %d: want %d to %d bytes", n, int64(minPackSize), int64(format.LargestPackSize))
	}
	return nil
}

// decodeInfo reads repo.json. What the repository requires is looked at before
// anything that a later release may have changed.
func decodeInfo(body []byte) (Info, error) {
	var first struct {
		Version  int      `json:"version"`
		Features Features `json:"features"`
	}
	if err := format.DecodeJSON(body, &first); err != nil {
		return Info{}, err
	}
	if first.Version > FormatVersion {
		return Info{}, Info{Version: first.Version}.check()
	}
	if err := (Info{Features: first.Features}).Allows(Reading); err != nil {
		return Info{}, err
	}
	var info Info
	if err := format.DecodeJSON(body, &info); err != nil {
		return Info{}, err
	}
	return info, info.check()
}

// read reads repo.json anew, with the store's clock. Whether it is signed is looked at
// once the root is known.
func (r *Repository) read(ctx context.Context) (Info, store.Object, error) {
	o, err := r.get(ctx, repoName, maxInfo)
	if err != nil {
		return Info{}, o, err
	}
	if r.access() != nil && r.unsigned == nil {
		if o, err = r.checkSigned(ctx, o); err != nil {
			return Info{}, o, err
		}
	}
	info, err := decodeInfo(o.Body)
	if err != nil {
		return Info{}, o, fmt.Errorf("%s: %w", repoName, err)
	}
	return info, o, nil
}

// maxInfo bounds repo.json.
const maxInfo = 64 << 10

// refresh reads repo.json anew, and the ring of an encrypted repository, as is done
// before each use of the repository. It refuses what is older than what was seen, or
// another repository's.
func (r *Repository) refresh(ctx context.Context) (Info, time.Time, error) {
	info, o, err := r.read(ctx)
	if err == nil {
		err = r.saw(info)
	}
	if err == nil {
		err = r.renew(ctx)
	}
	return info, o.Now, err
}

// Look reads anew what the repository is, with the ring, as before each use.
func (r *Repository) Look(ctx context.Context) (Info, error) {
	info, _, err := r.refresh(ctx)
	return info, err
}

// ErrEarlier is in the chain of the error of a repository that is not what was seen of it.
var ErrEarlier = errors.New("the repository is not what was seen of it before: it was brought back to an earlier state, or somebody changed it")

// EarlierRemedy is what can be done about it.
const EarlierRemedy = "find out who did it; restores go on meanwhile. Where the present state is to count, end ivd serve, run `ivd repo adopt`, and start it again"

// same refuses what another repository's repo.json says.
func (r *Repository) same(info Info) error {
	if info.Cipher != r.info.Cipher || info.Hash != r.info.Hash || info.Root != r.info.Root {
		return &ivd.Error{
			Kind: ivd.Corrupt, Op: fmt.Sprintf("%s of %s", repoName, r.st), Err: fmt.Errorf("it says now that %s, and before that %s", info.rooted(), r.info.rooted()),
			Remedy: "find out who changed it",
		}
	}
	if info.ID != r.info.ID || info.Domain != r.info.Domain {
		return &ivd.Error{
			Kind: ivd.Permanent, Op: r.st.String(), Err: fmt.Errorf("repository %s, domain %s, is there now instead of %s, domain %s", info.ID, info.Domain, r.info.ID, r.info.Domain),
			Remedy: "restart ivd if this is meant",
		}
	}
	return nil
}

// saw takes note of what repo.json says.
func (r *Repository) saw(info Info) error {
	if err := r.same(info); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if seen := r.latest; info.Generation < seen.Generation || info.Generation == seen.Generation && info.Incarnation != seen.Incarnation {
		return &ivd.Error{
			Kind: ivd.Permanent, Op: fmt.Sprintf("%s of %s", repoName, r.st),
			Err:    fmt.Errorf("%w: generation %d of incarnation %s, where generation %d of incarnation %s was seen before", ErrEarlier, info.Generation, info.Incarnation, seen.Generation, seen.Incarnation),
			Remedy: EarlierRemedy,
		}
	}
	r.latest = info
	return nil
}

// Info is what repo.json said when it was read last.
func (r *Repository) Info() Info {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.latest
}

// Incarnation is the repository's, as it was read last.
func (r *Repository) Incarnation() ivd.IncarnationID { return r.Info().Incarnation }

// Domain is what this program writes to, and deduplicates within: that of Keys.Domain, of
// the export or of the grant, else the repository's own.
func (r *Repository) Domain() ivd.DomainID { return r.domain }

// KnownAt is a moment at which something is known to have existed, as far as that
// counts in the present incarnation: else the zero time.
func (r *Repository) KnownAt(at time.Time, in ivd.IncarnationID) time.Time {
	if in != r.Incarnation() {
		return time.Time{}
	}
	return at
}
