package damage

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// Survey is a look at all packs that pages of a point need.
type Survey struct {
	Known []ivd.PackID // they were read whole before, and are not again
	Room  int          // it ends when so much damage is found
	Tick  func()       // called after each piece that was read, by several goroutines; nil: nobody wants to know
	Over  func() bool  // it ends when this says so; nil: never

	mu    sync.Mutex
	found []ivd.Damage // guarded by mu
}

const (
	// surveyedAtOnce is how many packs a survey reads at once.
	surveyedAtOnce = 8
	// SurveyMemory is what a survey takes, in bytes: a piece for each of them.
	SurveyMemory = surveyedAtOnce * repo.CheckPiece
)

// Run reads each pack that the pages need once, whole, and returns those that are
// missing or wrong, and of how much of the disk not all packs were looked at. Packs and not
// frames: what is retired is a pack, other points need its other frames, and a pack that
// is what its name says needs nothing unpacked. It costs what it would to read the pages,
// and what their packs hold of older points. An outage, or the end of ctx, ends it with an
// error, and what was found until then.
func (s *Survey) Run(ctx context.Context, r *repo.Repository, pages []ivd.PageRef, g ivd.Geometry) (found []ivd.Damage, unread int64, err error) {
	seen := map[ivd.PackID]bool{}
	for _, id := range s.Known {
		seen[id] = true
	}
	for i, ref := range pages {
		var all bool
		if all, err = s.page(ctx, r, ref, g, seen); err != nil || !all {
			for _, left := range pages[i:] {
				unread += min(g.PageSize(), g.Capacity-int64(left.Page)*g.PageSize())
			}
			break
		}
	}
	return s.found, unread, err
}

// page looks at the packs of a page. All: none was left out.
func (s *Survey) page(ctx context.Context, r *repo.Repository, ref ivd.PageRef, g ivd.Geometry, seen map[ivd.PackID]bool) (all bool, err error) {
	page, err := r.Page(ctx, ref, g)
	if err != nil && !isLost(err) {
		return false, err
	}
	if err != nil {
		page = &format.Page{} // which packs it needs is not known
	}
	packs := page.Kinds(ref)
	maps.DeleteFunc(packs, func(id ivd.PackID, _ format.PackKind) bool { return seen[id] })
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(surveyedAtOnce)
	for _, id := range Sorted(slices.Collect(maps.Keys(packs))) {
		if gctx.Err() != nil || s.over() {
			return false, errors.Join(group.Wait(), context.Cause(ctx))
		}
		seen[id] = true
		group.Go(func() error {
			d, err := r.CheckPack(gctx, packs[id], id, s.Tick)
			if d != nil {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.found = append(s.found, *d)
			}
			return err
		})
	}
	return true, group.Wait()
}

func (s *Survey) over() bool {
	s.mu.Lock()
	full := len(s.found) >= s.Room
	s.mu.Unlock()
	return full || s.Over != nil && s.Over()
}
