package repo

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// storedEntries is how many packs an object of a list has at most; tests lower it.
var storedEntries = format.MaxEntries

// PutStoredPacks stores a run's list of packs, runs/<domain>/<run>.packs, with the
// length that each has in the store, which is asked for each of them. It tells those
// that the store does not have, or not in their length: they stand in the list without
// one.
//
// To store the same again is no error, and writes the same bytes where at is the
// same: of a list that is too long for one object the parts come first, and until
// the list names them they are none.
func (r *Repository) PutStoredPacks(ctx context.Context, run ivd.RunID, at time.Time, packs map[ivd.PackID]format.PackKind) (lost []ivd.PackID, err error) {
	all, err := r.measure(ctx, packs)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.Length == 0 {
			lost = append(lost, p.ID)
		}
	}
	list := format.StoredPacks{Created: at, Packs: all}
	if len(all) > storedEntries {
		list.Packs = nil
		for part := range slices.Chunk(all, storedEntries) {
			sum, err := r.putStored(ctx, r.storedPart(run, len(list.Parts)+1), format.StoredPacks{Created: at, Packs: part})
			if err != nil {
				return lost, err
			}
			list.Parts = append(list.Parts, sum)
		}
	}
	_, err = r.putStored(ctx, r.storedName(run), list)
	return lost, err
}

// measure asks the store for the length of each pack; they come in the order of
// their ids. One that is missing, or does not end as it was stored, has none.
func (r *Repository) measure(ctx context.Context, packs map[ivd.PackID]format.PackKind) ([]format.StoredPack, error) {
	all := make([]format.StoredPack, 0, len(packs))
	var mu sync.Mutex
	_, err := r.Asking().Look(ctx, packs, func(a Answer) {
		if a.Damage != nil {
			a.Length = 0
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, format.StoredPack{ID: a.Pack, Kind: a.Kind, Length: a.Length})
	})
	slices.SortFunc(all, func(a, b format.StoredPack) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all, err
}

func (r *Repository) putStored(ctx context.Context, name store.Name, list format.StoredPacks) (ivd.ContentID, error) {
	list.Head = r.head(name)
	body, err := r.encode(name, list)
	if err != nil {
		return ivd.ContentID{}, err
	}
	if err := r.st.Put(ctx, name, body); err != nil {
		return ivd.ContentID{}, fmt.Errorf("store %s: %w", name, err)
	}
	return format.Sum(body), nil
}

// HasStoredPacks reports whether a run has a list of packs.
func (r *Repository) HasStoredPacks(ctx context.Context, run ivd.RunID) (bool, error) {
	name := r.storedName(run)
	switch _, err := r.st.Stat(ctx, name); {
	case ivd.KindOf(err) == ivd.NotFound:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("ask for %s: %w", name, err)
	}
	return true, nil
}

// StoredPacks reads a run's list of packs, whole or not at all. Kind NotFound: the
// run has none.
func (r *Repository) StoredPacks(ctx context.Context, run ivd.RunID) (map[ivd.PackID]format.StoredPack, error) {
	packs := map[ivd.PackID]format.StoredPack{}
	list, _, err := r.readStored(ctx, r.storedName(run), packs)
	if err != nil {
		return nil, err
	}
	for i, want := range list.Parts {
		name := r.storedPart(run, i+1)
		part, sum, err := r.readStored(ctx, name, packs)
		switch {
		case ivd.KindOf(err) == ivd.NotFound:
			return nil, ivd.Errorf(ivd.Corrupt, "%s: part %d is missing", list.Object, i+1)
		case err != nil:
			return nil, err
		case sum != want || len(part.Parts) > 0:
			return nil, ivd.Errorf(ivd.Corrupt, "%s is not the part that its list names", name)
		}
	}
	return packs, nil
}

func (r *Repository) readStored(ctx context.Context, name store.Name, into map[ivd.PackID]format.StoredPack) (format.StoredPacks, ivd.ContentID, error) {
	o, err := r.get(ctx, name, format.MaxRecord)
	if err != nil {
		return format.StoredPacks{}, ivd.ContentID{}, err
	}
	list, err := decode(ctx, r, o, format.StoredMagic, format.DecodeStoredPacks)
	if err != nil {
		return list, ivd.ContentID{}, fmt.Errorf("%s: %w", name, err)
	}
	for _, p := range list.Packs {
		into[p.ID] = p
	}
	return list, format.Sum(o.Body), nil
}
