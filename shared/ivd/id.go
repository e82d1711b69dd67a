package ivd

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
)

// SnapshotID names a snapshot of an IVD in vSphere.
type SnapshotID string

// DatastoreID is a datastore's managed object id, such as "datastore-52".
type DatastoreID string

// HostID is an ESXi host's managed object id, such as "host-21". Empty where it is not
// known.
type HostID string

// ChangeID is vSphere's mark of a moment in a disk's tracked changes:
// "<uuid>/<number>". Empty where the disk is not tracked.
type ChangeID string

// After reports whether the mark was made after o in one and the same series, so
// that the areas between the two can be asked for. A number that has not grown is
// that of a disk that was reverted, or copied with its tracking.
func (c ChangeID) After(o ChangeID) bool {
	mine, ok := c.number()
	theirs, known := o.number()
	return ok && known && c.Series() == o.Series() && mine > theirs
}

// Valid reports whether it is a series and a number, and so can be compared.
func (c ChangeID) Valid() bool {
	_, ok := c.number()
	return ok && c.Series() != "" && strings.IndexFunc(string(c), unicode.IsControl) < 0
}

// number is the part behind the slash, where it is one.
func (c ChangeID) number() (uint64, bool) {
	_, n, _ := strings.Cut(string(c), "/")
	v, err := strconv.ParseUint(n, 10, 64)
	return v, err == nil
}

// Series is the part before the slash. Two change ids of different series cannot
// be compared: tracking was reset between them.
func (c ChangeID) Series() string {
	s, _, _ := strings.Cut(string(c), "/")
	return s
}

// RunID names one execution of a policy or of one command over many disks.
type RunID string

// NewRunID makes a run id; it sorts by time and is safe in subjects, object names
// and shells: "20261124t231500z-1f0c2a9b".
func NewRunID(now time.Time) RunID {
	id := uuid.New()
	return RunID(strings.ToLower(now.UTC().Format("20060102T150405Z")) + "-" + hex.EncodeToString(id[:4]))
}

// JobID names one job of one disk within a run; safe in subjects and keys.
type JobID string

// LeaseID is random and never used twice.
type LeaseID string

// NewLeaseID makes one.
func NewLeaseID() LeaseID { return LeaseID(uuid.NewString()) }

// IncarnationID is random: an adopted copy of a repository has another one, so that
// nothing that is known of the original counts for the copy.
type IncarnationID string

// NewIncarnationID makes one.
func NewIncarnationID() IncarnationID { return IncarnationID(uuid.NewString()) }

// WriterID names one mover process in one run: who wrote a pack.
type WriterID [16]byte

// NewWriterID makes a random one.
func NewWriterID() WriterID { return WriterID(uuid.New()) }

func (w WriterID) String() string { return uuid.UUID(w).String() }

// MarshalText writes the canonical form of a UUID.
func (w WriterID) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads it.
func (w *WriterID) UnmarshalText(b []byte) error { return unUUID((*[16]byte)(w), b, "writer id") }

// DomainID names a domain of a repository: one set of keys, and one area of
// deduplication. A plain repository has one domain.
type DomainID [16]byte

// NewDomainID makes a random one.
func NewDomainID() DomainID { return DomainID(uuid.New()) }

func (d DomainID) String() string { return uuid.UUID(d).String() }

// IsZero reports whether the id was never set.
func (d DomainID) IsZero() bool { return d == DomainID{} }

// MarshalText writes the canonical form of a UUID.
func (d DomainID) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads it.
func (d *DomainID) UnmarshalText(b []byte) error { return unUUID((*[16]byte)(d), b, "domain id") }

// unUUID reads a UUID in its canonical form, and in no other.
func unUUID(dst *[16]byte, text []byte, what string) error {
	u, err := uuid.ParseBytes(text)
	if err != nil {
		return fmt.Errorf("%s %q: %w", what, text, err)
	}
	if u.String() != string(text) {
		return fmt.Errorf("%s %q: want %q", what, text, u)
	}
	*dst = u
	return nil
}

// Nonce is random, and in no two packs the same: with the writer's id it makes a
// pack's name new and its keys its own.
type Nonce [16]byte

// NewNonce makes one.
func NewNonce() (n Nonce) {
	_, _ = rand.Read(n[:]) // it never fails
	return n
}

func (n Nonce) String() string { return hex.EncodeToString(n[:]) }

// MarshalText writes 32 lower-case hexadecimal digits.
func (n Nonce) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (n *Nonce) UnmarshalText(b []byte) error { return unhex(n[:], b, "nonce") }

// KeyID tells keys apart, and tells nothing of them. The zero KeyID is that of no key.
type KeyID [16]byte

func (k KeyID) String() string { return hex.EncodeToString(k[:]) }

// IsZero reports whether it is that of no key.
func (k KeyID) IsZero() bool { return k == KeyID{} }

// MarshalText writes 32 lower-case hexadecimal digits.
func (k KeyID) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *KeyID) UnmarshalText(b []byte) error { return unhex(k[:], b, "key id") }

// ContentID is the BLAKE3-256 of the plain content of a chunk, a node or a page.
type ContentID [32]byte

func (c ContentID) String() string { return hex.EncodeToString(c[:]) }

// IsZero reports whether the id was never set.
func (c ContentID) IsZero() bool { return c == ContentID{} }

// MarshalText writes 64 lower-case hexadecimal digits.
func (c ContentID) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (c *ContentID) UnmarshalText(b []byte) error { return unhex(c[:], b, "content id") }

// PackID is the BLAKE3-256 of all bytes of a pack, a random nonce among them.
type PackID [32]byte

func (p PackID) String() string { return hex.EncodeToString(p[:]) }

// IsZero reports whether the id was never set.
func (p PackID) IsZero() bool { return p == PackID{} }

// MarshalText writes 64 lower-case hexadecimal digits.
func (p PackID) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *PackID) UnmarshalText(b []byte) error { return unhex(p[:], b, "pack id") }

// ParsePackID reads 64 hexadecimal digits.
func ParsePackID(s string) (PackID, error) {
	var p PackID
	err := p.UnmarshalText([]byte(s))
	return p, err
}

func unhex(dst, text []byte, what string) error {
	if hex.DecodedLen(len(text)) != len(dst) || len(text)%2 != 0 {
		return fmt.Errorf("%s %q: want %d hexadecimal digits", what, text, hex.EncodedLen(len(dst)))
	}
	if _, err := hex.Decode(dst, text); err != nil {
		return fmt.Errorf("%s %q: %w", what, text, err)
	}
	return nil
}
