package trust

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/index"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

// Barred reports whether a pack must not be built on: it is being deleted, or retired, or
// what was asked of it came to damage.
func (t *shared) Barred(pack ivd.PackID) bool {
	if t.lists().Pack(pack) {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.asked[pack] != nil
}

// Contents reads what lies in a data pack that others have written, for deduplication. It is
// on no list (W2), is there now, and its writer, who is registered, vouches for what it
// has (repo.Directory): so nothing that was known of it before counts (W3). Kind
// NotFound: it is on a list, or gone.
func (t *Trust) Contents(ctx context.Context, pack ivd.PackID) ([]ivd.ContentRef, error) {
	if t.Barred(pack) {
		return nil, ivd.Errorf(ivd.NotFound, "pack %s must not be built on", pack)
	}
	d, requests, err := t.r.Directory(ctx, pack)
	t.account.add(repo.Requests{All: requests}, nil)
	if err != nil {
		return nil, fmt.Errorf("deduplicate: %w", err)
	}
	t.learn(pack, nil)
	contents := make([]ivd.ContentRef, len(d.Entries))
	for i, e := range d.Entries {
		contents[i] = ivd.ContentRef{ID: e.ID, Place: ivd.Place{PackRef: d.Ref, Offset: e.Offset, Length: e.Length}}
	}
	return contents, nil
}

// Sparse keeps a process's sparse index: the hooks of the repository's packs, the newest
// first, and which of the packs are proven. It is of no lease: hooks only say where to
// look. Safe for concurrent use.
type Sparse struct {
	r     *repo.Repository
	hooks *index.Hooks

	mu       sync.Mutex
	lists    map[store.Name]time.Time // guarded by mu: of hooks, that were read
	newest   string                   // guarded by mu: the newest run that has one of them
	full     bool                     // guarded by mu: there was no room for older ones
	since    time.Time                // guarded by mu: when the oldest list of hooks was made that lists of proven packs were not compared with; zero: none
	verified map[store.Name]time.Time // guarded by mu: lists of proven packs that were read, and when they were made
}

// NewSparse makes one with no hooks, which takes so much memory at the most.
func NewSparse(r *repo.Repository, bytes int64) *Sparse {
	return &Sparse{r: r, hooks: index.NewHooks(bytes), lists: map[store.Name]time.Time{}, verified: map[store.Name]time.Time{}}
}

// Hooks are what it has.
func (s *Sparse) Hooks() *index.Hooks { return s.hooks }

// Refresh reads the lists of hooks and of proven packs that have come since it did so
// before: two LISTs, and what they name. A list that cannot be read for good is left out.
// After an error, or the context's end, what was read is known, and the rest is read by the
// next one.
func (s *Sparse) Refresh(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	hookErr := s.readHooks(ctx)
	if err := s.readVerified(ctx); err != nil {
		return fmt.Errorf("read lists of proven packs: %w", err)
	}
	if hookErr != nil {
		return fmt.Errorf("read hooks: %w", hookErr)
	}
	return nil
}

// listsAtOnce is how many lists are read at once: each is a MiB or two.
const listsAtOnce = 4

// list is one that was read.
type list struct {
	name  store.Name
	made  time.Time
	hooks []repo.PackHooks
	packs []ivd.PackID
}

// each reads lists, some at once, and hands them to take in their order. One that cannot be
// read for good is handed on without anything in it.
func each(ctx context.Context, names []store.Name, read func(context.Context, *list) error, take func(*list)) error {
	for some := range slices.Chunk(names, listsAtOnce) {
		lists := make([]*list, len(some))
		group, inner := errgroup.WithContext(ctx)
		for i, name := range some {
			lists[i] = &list{name: name}
			group.Go(func() error {
				err := read(inner, lists[i])
				switch ivd.KindOf(err) {
				case ivd.NotFound, ivd.Corrupt, ivd.Denied, ivd.Unsupported:
					lists[i] = &list{name: name}
					return nil
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for _, l := range lists {
			take(l)
		}
	}
	return nil
}

// forgetGone forgets lists that are not there any more.
func forgetGone(read map[store.Name]time.Time, names []store.Name) {
	there := make(map[store.Name]bool, len(names))
	for _, name := range names {
		there[name] = true
	}
	maps.DeleteFunc(read, func(name store.Name, _ time.Time) bool { return !there[name] })
}

// readHooks reads the lists of hooks that are new to it: newer ones than it has in the order
// of their age, then older ones, the newest first, as long as there is room.
func (s *Sparse) readHooks(ctx context.Context) error {
	names, err := s.r.HookLists(ctx)
	if err != nil {
		return err
	}
	forgetGone(s.lists, names)
	var newer, older []store.Name // the newest first
	for _, name := range names {
		switch _, read := s.lists[name]; {
		case read:
		case s.newest != "" && repo.RunOfHooks(name) >= s.newest: // those of one run are in no order
			newer = append(newer, name)
		case !s.full:
			older = append(older, name)
		}
	}
	slices.Reverse(newer)
	read := func(ctx context.Context, l *list) (err error) {
		l.made, l.hooks, err = s.r.Hooks(ctx, l.name)
		return err
	}
	if err := each(ctx, newer, read, func(l *list) { s.take(l, true) }); err != nil {
		return err
	}
	for some := range slices.Chunk(older, listsAtOnce) {
		if s.full {
			break
		}
		if err := each(ctx, some, read, func(l *list) { s.take(l, false) }); err != nil {
			return err
		}
	}
	return nil
}

// take remembers what a list says.
func (s *Sparse) take(l *list, newer bool) {
	for _, p := range l.hooks {
		if newer {
			s.hooks.AddNewer(p.Ref.Pack, p.IDs)
		} else if !s.full {
			s.full = !s.hooks.AddOlder(p.Ref.Pack, p.IDs)
		}
	}
	s.lists[l.name], s.newest = l.made, max(s.newest, repo.RunOfHooks(l.name))
	if len(l.hooks) > 0 && (s.since.IsZero() || l.made.Before(s.since)) {
		s.since = l.made
	}
}

// hooksAfter is how long after a pack its hooks are stored at the latest: a lease's life,
// and a day for clocks.
const hooksAfter = 3 * 24 * time.Hour

// readVerified reads the lists of proven packs that are new to it, and again those that may
// name packs whose hooks are.
func (s *Sparse) readVerified(ctx context.Context) error {
	names, err := s.r.VerifiedLists(ctx)
	if err != nil {
		return err
	}
	forgetGone(s.verified, names)
	names = slices.DeleteFunc(names, func(name store.Name) bool {
		made, read := s.verified[name]
		return read && (s.since.IsZero() || made.Before(s.since.Add(-hooksAfter)))
	})
	err = each(ctx, names, func(ctx context.Context, l *list) (err error) {
		l.made, l.packs, err = s.r.Verified(ctx, l.name)
		return err
	}, func(l *list) {
		s.hooks.Prove(l.packs)
		s.verified[l.name] = l.made
	})
	if err == nil {
		s.since = time.Time{}
	}
	return err
}
