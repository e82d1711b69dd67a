package custody

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// maxRefs bounds the pack references that are kept of all pages: 64 bytes each.
const maxRefs = 1 << 19

// set is the packs that a page needs, in the order of their ids.
type set []ivd.PackRef

func (s set) has(ref ivd.PackRef) bool {
	i, found := slices.BinarySearchFunc(s, ref, byPack)
	return found && s[i] == ref
}

func byPack(a, b ivd.PackRef) int { return bytes.Compare(a.Pack[:], b.Pack[:]) }

// sets keeps those of the pages that were asked for last.
type sets struct {
	reading sync.Mutex // one page is read at a time: it may be large

	mu    sync.Mutex
	kept  map[pageKey]set // guarded by mu
	order []pageKey       // guarded by mu: the oldest first
	refs  int             // guarded by mu: in all of them
}

type pageKey struct {
	point ivd.PointID
	page  ivd.PageIndex
}

// get reads the point and its page, unless that was done a short while ago. Kind Denied:
// the point has no such page.
func (s *sets) get(ctx context.Context, r *repo.Repository, point ivd.PointID, page ivd.PageIndex) (set, error) {
	k := pageKey{point, page}
	if kept, ok := s.known(k); ok {
		return kept, nil
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	if kept, ok := s.known(k); ok {
		return kept, nil
	}
	p, _, err := r.ReadPoint(ctx, point)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(p.Pages, func(ref ivd.PageRef) bool { return ref.Page == page })
	if i < 0 {
		return nil, ivd.Errorf(ivd.Denied, "%s has no page %d", point, page)
	}
	read, err := r.Page(ctx, p.Pages[i], p.Geometry)
	if err != nil {
		return nil, err
	}
	needs := set(slices.Clip(slices.Clone(read.Packs)))
	slices.SortFunc(needs, byPack)
	s.keep(k, needs)
	return needs, nil
}

func (s *sets) known(k pageKey) (set, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.kept[k]
	return kept, ok
}

// keep keeps a set, and lets the oldest go where all would be too many.
func (s *sets) keep(k pageKey, needs set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = map[pageKey]set{}
	}
	for len(s.order) > 0 && (s.refs+len(needs) > maxRefs || len(s.order) >= maxRefs/64) {
		s.refs -= len(s.kept[s.order[0]])
		delete(s.kept, s.order[0])
		s.order = s.order[1:]
	}
	s.kept[k], s.order, s.refs = needs, append(s.order, k), s.refs+len(needs)
}
