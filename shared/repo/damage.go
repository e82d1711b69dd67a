package repo

import (
	"context"
	"fmt"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// CheckPiece is how much of a pack CheckPack reads at once, in bytes.
const CheckPiece = 1 << 20

// CheckPack reads a whole pack from the store, piece by piece, and returns what is
// wrong with it; nil: it is what its name says. A pack is named in tables of its own
// format only, so that its name is the Sum of its bytes, whatever they say of
// themselves. Tick is called after each piece; it may be nil. An outage is an error
// and no verdict.
func (r *Repository) CheckPack(ctx context.Context, kind format.PackKind, id ivd.PackID, tick func()) (*ivd.Damage, error) {
	name := r.PackName(kind, id)
	damage := &ivd.Damage{Pack: id, Index: kind == format.IndexPack}
	info, err := r.st.Stat(ctx, name)
	switch {
	case ivd.KindOf(err) == ivd.NotFound:
		damage.Why = Missing
		return damage, nil
	case err != nil:
		return nil, fmt.Errorf("ask for %s: %w", name, err)
	}
	sum := format.NewPackHash()
	buf := make([]byte, min(CheckPiece, max(0, info.Size))) // a store may not know the size
	for off := int64(0); off < info.Size; off += int64(len(buf)) {
		part := buf[:min(int64(len(buf)), info.Size-off)]
		switch err := r.st.ReadAt(ctx, name, part, off); {
		case ivd.KindOf(err) == ivd.NotFound, ivd.KindOf(err) == ivd.Corrupt:
			damage.Why = "changes while it is read"
			return damage, nil
		case err != nil:
			return nil, fmt.Errorf("read %s at %d: %w", name, off, err)
		}
		_, _ = sum.Write(part) // never fails
		if tick != nil {
			tick()
		}
	}
	if ivd.PackID(sum.Sum(nil)) == id {
		return nil, nil
	}
	damage.Why = fmt.Sprintf("has other content than was stored: %d bytes", info.Size)
	if why, err := r.wrongLength(ctx, name, info.Size); err == nil && why != "" {
		damage.Why = why
	}
	return damage, nil
}

// Missing is why a pack is damaged that is not there.
const Missing = "is missing"

// LookAtPack asks whether a pack is there, in the length in which it was stored,
// without reading it: its trailer, which is its end, says how long it is. It returns
// what is wrong, or nil, and how many requests it took. What it does not understand
// of a trailer is no damage.
func (r *Repository) LookAtPack(ctx context.Context, kind format.PackKind, id ivd.PackID) (damage *ivd.Damage, requests int64, err error) {
	_, damage, requests, err = r.lookAtPack(ctx, kind, id)
	return damage, requests, err
}

func (r *Repository) lookAtPack(ctx context.Context, kind format.PackKind, id ivd.PackID) (length int64, damage *ivd.Damage, requests int64, err error) {
	name := r.PackName(kind, id)
	wrong := func(why string) *ivd.Damage {
		return &ivd.Damage{Pack: id, Index: kind == format.IndexPack, Why: why}
	}
	info, err := r.st.Stat(ctx, name)
	switch {
	case ivd.KindOf(err) == ivd.NotFound:
		return 0, wrong(Missing), 1, nil
	case err != nil:
		return 0, nil, 1, fmt.Errorf("ask for %s: %w", name, err)
	}
	requests = 1 + endReads(info.Size)
	why, err := r.wrongLength(ctx, name, info.Size)
	if err == nil && why != "" {
		damage = wrong(why)
	}
	return info.Size, damage, requests, err
}

// endReads is how many requests wrongLength takes.
func endReads(size int64) int64 {
	if size < format.TrailerSize {
		return 0
	}
	return 1
}

// wrongLength says what is wrong with a pack's length, or nothing.
func (r *Repository) wrongLength(ctx context.Context, name store.Name, size int64) (why string, err error) {
	if r.info.sealed() && r.access() == nil {
		return "", nil // what a pack ends with is not known here
	}
	if endReads(size) == 0 {
		return fmt.Sprintf("is cut off: %d bytes", size), nil
	}
	end := make([]byte, format.TrailerSize)
	if err := r.st.ReadAt(ctx, name, end, size-format.TrailerSize); err != nil {
		switch ivd.KindOf(err) {
		case ivd.NotFound:
			return Missing, nil
		case ivd.Corrupt:
			return "is cut off", nil
		}
		return "", fmt.Errorf("read the end of %s: %w", name, err)
	}
	if _, err := format.ReadTrailer(end, size, r.Suite().Cipher()); ivd.KindOf(err) == ivd.Corrupt {
		return fmt.Sprintf("is not as long as it was stored, or was overwritten: its %d bytes do not end as a pack does", size), nil
	}
	return "", nil
}
