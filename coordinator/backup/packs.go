package backup

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// How many points of a run are looked at at once, and pages of each.
const (
	pointsAtOnce = 32
	pagesAtOnce  = 4
)

// additions gathers which packs a run's points need that no earlier run's list has. All
// of it comes from the repository, so that another try, or another coordinator,
// comes to the same.
type additions struct {
	w *Workflow

	mu     sync.Mutex
	at     time.Time                          // guarded by mu: when the last point was sealed
	packs  map[ivd.PackID]format.PackKind     // guarded by mu
	listed map[ivd.RunID]func() (bool, error) // guarded by mu: whether an earlier run has a list
}

// listPacks stores the list of the packs that the run's points have added.
func (w *Workflow) listPacks(ctx context.Context, run ivd.RunID, points []format.RunPoint) error {
	a := &additions{w: w, packs: map[ivd.PackID]format.PackKind{}, listed: map[ivd.RunID]func() (bool, error){}}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(pointsAtOnce)
	for _, p := range points {
		group.Go(func() error { return a.point(inner, p.Point) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	lost, err := w.Repo.PutStoredPacks(ctx, run, a.at, a.packs)
	for _, id := range lost {
		w.Log.Error("pack is missing or cut off, and a new restore point needs it: see `ivd points --check`", "run", run, "pack", id)
	}
	return err
}

// point adds the packs that a point needs and its parent does not. Where the parent
// cannot be read, or its run has no list, they are all of them.
func (a *additions) point(ctx context.Context, id ivd.PointID) error {
	p, _, err := a.w.Repo.ReadPoint(ctx, id)
	if err != nil {
		return err
	}
	parent, err := a.parent(ctx, p)
	if err != nil {
		return err
	}
	before := map[ivd.PageIndex]ivd.PageRef{}
	for _, ref := range parent.Pages {
		before[ref.Page] = ref
	}
	a.mu.Lock()
	if p.SealedAt.After(a.at) {
		a.at = p.SealedAt
	}
	a.mu.Unlock()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(pagesAtOnce)
	for _, ref := range p.Pages {
		old, has := before[ref.Page]
		if has && old == ref {
			continue
		}
		group.Go(func() error {
			page, err := a.w.Repo.Page(ctx, ref, p.Geometry)
			if err != nil {
				return err
			}
			packs := page.Kinds(ref)
			if has {
				page, err := a.w.Repo.Page(ctx, old, parent.Geometry)
				if err != nil && !unreadable(err) {
					return err
				}
				if err == nil {
					for id := range page.Kinds(old) {
						delete(packs, id)
					}
				}
			}
			a.add(packs)
			return nil
		})
	}
	return group.Wait()
}

func (a *additions) add(packs map[ivd.PackID]format.PackKind) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, kind := range packs {
		a.packs[id] = kind
	}
}

// parent is the point's, where its run's list says what it needs: else a point
// without pages.
func (a *additions) parent(ctx context.Context, p format.Point) (format.Point, error) {
	if p.Parent == nil {
		return format.Point{}, nil
	}
	if p.Parent.Point.Run() != p.Run {
		if listed, err := a.isListed(ctx, p.Parent.Point.Run()); err != nil || !listed {
			return format.Point{}, err
		}
	}
	parent, _, err := a.w.Repo.ReadPoint(ctx, p.Parent.Point)
	if unreadable(err) {
		return format.Point{}, nil
	}
	return parent, err
}

// isListed asks once for each run.
func (a *additions) isListed(ctx context.Context, run ivd.RunID) (bool, error) {
	a.mu.Lock()
	ask := a.listed[run]
	if ask == nil {
		ask = sync.OnceValues(func() (bool, error) { return a.w.Repo.HasStoredPacks(ctx, run) })
		a.listed[run] = ask
	}
	a.mu.Unlock()
	return ask()
}

// unreadable reports whether something cannot be read, now or ever.
func unreadable(err error) bool {
	switch ivd.KindOf(err) {
	case ivd.NotFound, ivd.Corrupt, ivd.Unsupported:
		return true
	}
	return false
}
