package repo

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Standing is what no new point may build on: the packs that the condemned lists name
// which stood when it was read, and the packs that are retired. It does not change.
type Standing struct {
	*Retired
	condemned []ivd.PackID // in order, each once
}

// Pack reports whether a pack is condemned or retired: to be treated as absent by
// writers.
func (s *Standing) Pack(id ivd.PackID) bool { return s.Condemned(id) || s.Retired.Pack(id) }

// WithRetired is the same with lists of retired packs that were read later.
func (s *Standing) WithRetired(x *Retired) *Standing {
	later := *s
	later.Retired = x
	return &later
}

// Condemned reports whether a pack is about to be deleted.
func (s *Standing) Condemned(id ivd.PackID) bool {
	_, found := slices.BinarySearchFunc(s.condemned, id, comparePacks)
	return found
}

// Size is what it takes of memory, in bytes, about.
func (s *Standing) Size() int64 {
	return int64(cap(s.condemned))*int64(len(ivd.PackID{})) + int64(len(s.judged))*judgedBytes
}

// judgedBytes is what an entry of the lists of retired packs takes in a map.
const judgedBytes = 160

func comparePacks(a, b ivd.PackID) int { return bytes.Compare(a[:], b[:]) }

// Standing reads all condemned lists and the lists of retired packs (W2). It
// must follow the lease under which it is used. A condemned list that cannot be read
// whole is an error, and so is anything else of a collection that is not understood,
// since what it condemns is not known; a list that is gone when it is read has been
// removed, which happens 8 days after its work was done (C5) and is no error.
func (r *Repository) Standing(ctx context.Context) (*Standing, error) {
	s := &Standing{}
	err := r.condemned(ctx, func(c format.Condemned) { s.condemned = append(s.condemned, c.Packs...) })
	if err != nil {
		return nil, err
	}
	slices.SortFunc(s.condemned, comparePacks)
	s.condemned = slices.Clip(slices.Compact(s.condemned))
	if s.Retired, err = r.Retired(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// isCondemned reports whether a condemned list that stands names a point (R1), with
// errors as Standing has them.
func (r *Repository) isCondemned(ctx context.Context, id ivd.PointID) (yes bool, err error) {
	err = r.condemned(ctx, func(c format.Condemned) { yes = yes || slices.Contains(c.Points, id) })
	return yes, err
}

// condemned reads all condemned lists and hands them to add, list by list, with their
// parts.
func (r *Repository) condemned(ctx context.Context, add func(format.Condemned)) error {
	lists, err := r.condemnedLists(ctx)
	if err != nil {
		return err
	}
	for _, name := range lists {
		parts, err := r.readCondemned(ctx, name)
		if err != nil {
			return fmt.Errorf("read the condemned lists: %w", err)
		}
		for _, p := range parts {
			add(p)
		}
	}
	return nil
}

// The objects of a collection, collect/<domain>/<n>/<one of these>. Parts of a
// condemned list follow its name with "." and their number, from 1.
const (
	condemnedLeaf = "condemned"
	waitsLeaf     = "waits"
	doneLeaf      = "done"
)

// condemnedLists lists the condemned lists, and refuses what is not understood
// beside them.
func (r *Repository) condemnedLists(ctx context.Context) ([]store.Name, error) {
	folder := r.folder(collectDir)
	names, err := r.names(ctx, folder)
	if err != nil {
		return nil, err
	}
	var lists []store.Name
	for _, name := range names {
		_, leaf, _, err := r.collectionObject(name)
		if err != nil {
			return nil, err
		}
		if leaf == condemnedLeaf { // the others are a collector's own; parts are those that a list names
			lists = append(lists, name)
		}
	}
	return lists, nil
}

// readCondemned reads a list and all of its parts; none where it is gone.
func (r *Repository) readCondemned(ctx context.Context, name store.Name) ([]format.Condemned, error) {
	o, err := r.get(ctx, name, format.MaxRecord)
	if ivd.KindOf(err) == ivd.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := decode(ctx, r, o, format.CondemnedMagic, format.DecodeCondemned)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	parts := []format.Condemned{list}
	for i, sum := range list.Parts {
		part, err := r.readPart(ctx, name, i+1, sum)
		if ivd.KindOf(err) == ivd.NotFound {
			return nil, r.missing(ctx, name, i+1)
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// missing tells a list that was removed while it was read, which goes before its
// parts, from one without a part.
func (r *Repository) missing(ctx context.Context, list store.Name, number int) error {
	_, err := r.st.Stat(ctx, list)
	switch {
	case ivd.KindOf(err) == ivd.NotFound:
		return nil
	case err != nil:
		return fmt.Errorf("ask for %s: %w", list, err)
	}
	return ivd.Errorf(ivd.Corrupt, "%s: part %d is missing", list, number)
}

func (r *Repository) readPart(ctx context.Context, list store.Name, number int, sum ivd.ContentID) (format.Condemned, error) {
	name := store.Name(fmt.Sprintf("%s.%d", list, number))
	o, err := r.get(ctx, name, format.MaxRecord)
	if err != nil {
		return format.Condemned{}, err
	}
	if format.Sum(o.Body) != sum {
		return format.Condemned{}, ivd.Errorf(ivd.Corrupt, "%s is not the part that its list names", name)
	}
	part, err := decode(ctx, r, o, format.CondemnedMagic, format.DecodeCondemned)
	if err == nil && len(part.Parts) > 0 {
		err = ivd.Errorf(ivd.Corrupt, "a part has %d parts", len(part.Parts))
	}
	if err != nil {
		return format.Condemned{}, fmt.Errorf("%s: %w", name, err)
	}
	return part, nil
}

// names lists the objects below a folder.
func (r *Repository) names(ctx context.Context, folder string) ([]store.Name, error) {
	var names []store.Name
	for info, err := range r.st.List(ctx, folder) {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", folder, err)
		}
		names = append(names, info.Name)
	}
	return names, nil
}

// each reads the objects, several at once, and hands them to add one at a time.
// What is gone is left out.
func (r *Repository) each(ctx context.Context, names []store.Name, add func(store.Object) error) error {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.connections())
	for _, name := range names {
		g.Go(func() error {
			o, err := r.get(ctx, name, format.MaxRecord)
			if ivd.KindOf(err) == ivd.NotFound {
				return nil
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if err := add(o); err != nil {
				return fmt.Errorf("%s: %w", o.Name, err)
			}
			return nil
		})
	}
	return g.Wait()
}

func (r *Repository) connections() int { return max(1, r.st.Properties().Connections) }
