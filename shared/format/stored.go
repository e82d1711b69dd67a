package format

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"ivdmover/shared/ivd"
)

// StoredPacks is a run's list of packs, runs/<domain>/<run>.packs: what must be there
// for the run's points to be restored, so far as no earlier run's list says it. It
// is never encrypted: whoever may list the store sees by it what is missing. A long
// one names parts of the same form, which were stored before it, and only what it
// names counts.
type StoredPacks struct {
	Head
	Created time.Time       // to the second
	Parts   []ivd.ContentID // Sums of the parts' objects, in order of their numbers, from 1
	Packs   []StoredPack    // each once
}

// StoredPack is a pack as the store should have it.
type StoredPack struct {
	ID     ivd.PackID
	Kind   PackKind
	Length int64 // of the object, in bytes; 0: it was missing, or cut off, when the list was made
}

const storedPackSize = 32 + 8 + 1 + 7

// Encode is the list's object. Packs are put in order.
func (s StoredPacks) Encode() ([]byte, error) {
	l := listWriter{head: s.Head, created: s.Created}
	l.sums(s.Parts)
	l.entries += len(s.Packs)
	l.rest = le.AppendUint32(l.rest, uint32(len(s.Packs)))
	var last *StoredPack
	for _, p := range slices.SortedFunc(slices.Values(s.Packs), func(a, b StoredPack) int { return bytes.Compare(a.ID[:], b.ID[:]) }) {
		if last != nil && last.ID == p.ID || p.check() != nil {
			return nil, fmt.Errorf("encode %s: pack %s of kind %d and %d bytes, or twice", s.Object, p.ID, p.Kind, p.Length)
		}
		l.rest = append(l.rest, p.ID[:]...)
		l.rest = le.AppendUint64(l.rest, uint64(p.Length))
		l.rest = append(l.rest, byte(p.Kind), 0, 0, 0, 0, 0, 0, 0)
		last = &p
	}
	return l.seal(StoredMagic)
}

// DecodeStoredPacks reads a list's object, or a part's.
func DecodeStoredPacks(b []byte, at At) (StoredPacks, error) {
	l, err := openList(StoredMagic, b, at)
	if err != nil {
		return StoredPacks{}, err
	}
	s := StoredPacks{Head: l.head, Created: l.created}
	l.fixed(32, false, func(b []byte) { s.Parts = append(s.Parts, ivd.ContentID(b)) })
	var last []byte
	for range l.count(storedPackSize) {
		e := l.take(storedPackSize)
		p := StoredPack{ID: ivd.PackID(e), Length: int64(min(le.Uint64(e[32:]), 1<<62)), Kind: PackKind(e[40])}
		if err := checkReserved(s.Object+": pack "+p.ID.String(), e[41:]); err != nil {
			return StoredPacks{}, err
		}
		if err := p.check(); err != nil {
			return StoredPacks{}, fmt.Errorf("%s: %w", s.Object, err)
		}
		if last != nil && bytes.Compare(last, e[:32]) >= 0 {
			return StoredPacks{}, corrupt("%s is not in order", s.Object)
		}
		s.Packs = append(s.Packs, p)
		last = e[:32]
	}
	return s, l.end()
}

func (p StoredPack) check() error {
	if p.Kind != DataPack && p.Kind != IndexPack {
		return unsupported("pack %s of kind %d, which this release does not know", p.ID, p.Kind)
	}
	if p.Length < 0 || p.Length > MaxPackSize {
		return unsupported("pack %s of %d bytes: this release takes up to %d", p.ID, p.Length, int64(MaxPackSize))
	}
	return nil
}
