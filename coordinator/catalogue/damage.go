package catalogue

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"ivdmover/coordinator/news"
	"ivdmover/shared/damage"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// looked is how many pages are read to find out which points are damaged, where
// nobody has asked for all: of an estate with a hundred thousand points a list must
// not take minutes.
const looked = 2000

// marks is which retired packs points need: it counts for one set of retired packs.
type marks struct {
	retired []ivd.PackID
	needs   map[ivd.PointID][]ivd.PackID // of those that were looked at
}

// Mark says of each point which retired packs it needs. Where no pack is retired it
// reads nothing but their lists. Else it reads the pages of points that it has not
// looked at before, as many as is worth a list, or all of them; those that are left
// are marked as such.
func (c *Catalogue) Mark(ctx context.Context, points []Point, all bool) error {
	x, err := c.repo.Retired(ctx)
	if err != nil {
		return err
	}
	return c.mark(ctx, points, x.Packs(), all)
}

func (c *Catalogue) mark(ctx context.Context, points []Point, retired []ivd.PackID, all bool) error {
	if len(retired) == 0 {
		return nil
	}
	known := c.marksOf(retired)
	bad := make(map[ivd.PackID]bool, len(retired))
	for _, pack := range retired {
		bad[pack] = true
	}
	budget := int64(looked)
	var ask []int
	for i := range points {
		if points[i].Failure != nil {
			continue
		}
		if needs, ok := known[points[i].ID]; ok {
			points[i].Damaged = needs
			continue
		}
		if budget -= int64(points[i].Geometry.Pages()); budget < 0 && !all {
			points[i].Unchecked = true
			continue
		}
		ask = append(ask, i)
	}
	pages := pageNeeds{seen: map[ivd.PageRef][]ivd.PackID{}}
	var read atomic.Int64
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(readAtOnce)
	for _, i := range ask {
		group.Go(func() error {
			news.Tell(ctx, "looked for damage in %d of %d restore points", read.Add(1)-1, len(ask))
			needs, err := c.needs(gctx, points[i].ID, &pages, func(pack ivd.PackID) bool { return bad[pack] })
			if kind := ivd.KindOf(err); points[i].told && (kind == ivd.Corrupt || kind == ivd.Unsupported) {
				points[i].Failure = ivd.FailureOf(err) // nobody has read it before
				return nil
			}
			points[i].Damaged = needs
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("find the restore points that are damaged: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Equal(c.marks.retired, retired) {
		for _, i := range ask {
			if points[i].Failure != nil {
				continue
			}
			c.marks.needs[points[i].ID] = points[i].Damaged
		}
	}
	return nil
}

// marksOf is what is known for a set of retired packs; it is forgotten when the set
// changes, and when it is too much.
func (c *Catalogue) marksOf(retired []ivd.PackID) map[ivd.PointID][]ivd.PackID {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.marks.retired, retired) || len(c.marks.needs) >= keptPoints {
		c.marks = marks{retired: retired, needs: map[ivd.PointID][]ivd.PackID{}}
	}
	known := make(map[ivd.PointID][]ivd.PackID, len(c.marks.needs))
	for id, needs := range c.marks.needs {
		known[id] = needs
	}
	return known
}

// pageNeeds remembers pages, which points of a disk share.
type pageNeeds struct {
	mu   sync.Mutex
	seen map[ivd.PageRef][]ivd.PackID
}

// needs are the packs that a point needs and that bad names. A page that cannot be
// read is damage of the pack that it lies in.
func (c *Catalogue) needs(ctx context.Context, id ivd.PointID, pages *pageNeeds, bad func(ivd.PackID) bool) ([]ivd.PackID, error) {
	p, _, err := c.repo.ReadPoint(ctx, id)
	if ivd.KindOf(err) == ivd.NotFound {
		return nil, nil // it was deleted meanwhile
	}
	if err != nil {
		return nil, err
	}
	var all []ivd.PackID
	for _, ref := range p.Pages {
		pages.mu.Lock()
		needs, ok := pages.seen[ref]
		pages.mu.Unlock()
		if !ok {
			needs, err = damage.Needs(ctx, c.repo, ref, p.Geometry, bad)
			switch ivd.KindOf(err) {
			case ivd.NotFound, ivd.Corrupt:
				needs, err = []ivd.PackID{ref.Place.Pack}, nil
			}
			if err != nil {
				return nil, err
			}
			pages.mu.Lock()
			pages.seen[ref] = needs
			pages.mu.Unlock()
		}
		all = append(all, needs...)
	}
	return damage.Sorted(all), nil
}

// Check asks the store for every pack that the points need, whether it is there in
// its length, has those retired that are not, and marks the points. What of a pack's
// content is wrong only a reader finds.
func (c *Catalogue) Check(ctx context.Context, points []Point) error {
	a := &asks{c: c, asking: c.repo.Asking(), pages: map[ivd.PageRef]bool{}, packs: map[ivd.PackID]format.PackKind{}, done: map[ivd.PackID]bool{}}
	for i, p := range points {
		news.Tell(ctx, "checked %d of %d restore points", i, len(points))
		if p.Failure != nil {
			continue
		}
		if err := a.point(ctx, p.ID); err != nil {
			return fmt.Errorf("check %s: %w", p.ID, err)
		}
	}
	if err := a.ask(ctx); err != nil {
		return fmt.Errorf("check the packs that points need: %w", err)
	}
	found := a.found
	var missing []ivd.PackID
	if len(found) > 0 {
		news.Tell(ctx, "reading %d packs that seem to be damaged once more", len(found))
		confirmed, err := damage.Retire(ctx, c.repo, "ivd points --check", found)
		if err != nil && len(confirmed.Damaged) == 0 {
			return err
		}
		for _, d := range confirmed.Damaged { // also where the list cannot be stored
			missing = append(missing, d.Pack)
		}
	}
	x, err := c.repo.Retired(ctx)
	if err != nil {
		return err
	}
	return c.mark(ctx, points, damage.Sorted(append(x.Packs(), missing...)), true)
}

// asks is a Check under way: it gathers packs, to ask for many at once.
type asks struct {
	c      *Catalogue
	asking *repo.Asking
	pages  map[ivd.PageRef]bool           // that were read
	packs  map[ivd.PackID]format.PackKind // that are to be asked for
	done   map[ivd.PackID]bool            // that were

	mu    sync.Mutex
	found []ivd.Damage
}

// How many packs are gathered before they are asked for, and how many of those that
// were are remembered; what is forgotten is asked for again.
const (
	gathered = 1 << 18
	keptAsks = 1 << 20
)

func (a *asks) point(ctx context.Context, id ivd.PointID) error {
	p, _, err := a.c.repo.ReadPoint(ctx, id)
	if ivd.KindOf(err) == ivd.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	for _, ref := range p.Pages {
		if a.pages[ref] {
			continue
		}
		a.pages[ref] = true
		if err := a.page(ctx, ref, p.Geometry); err != nil {
			return err
		}
	}
	return nil
}

func (a *asks) page(ctx context.Context, ref ivd.PageRef, g ivd.Geometry) error {
	page, err := a.c.repo.Page(ctx, ref, g)
	switch ivd.KindOf(err) {
	case ivd.NotFound, ivd.Corrupt:
		a.tell(ivd.Damage{Pack: ref.Place.Pack, Index: true, Why: "holds a page that cannot be read"})
		return nil
	}
	if err != nil {
		return err
	}
	for pack, kind := range page.Kinds(ref) {
		if !a.done[pack] {
			a.packs[pack] = kind
		}
	}
	if len(a.packs) < gathered {
		return nil
	}
	return a.ask(ctx)
}

// ask asks for the packs that are gathered.
func (a *asks) ask(ctx context.Context) error {
	_, err := a.asking.Look(ctx, a.packs, func(x repo.Answer) {
		if x.Damage != nil {
			a.tell(*x.Damage)
		}
	})
	if len(a.done) > keptAsks {
		clear(a.done)
	}
	for pack := range a.packs {
		a.done[pack] = true
	}
	clear(a.packs)
	return err
}

func (a *asks) tell(d ivd.Damage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.found = append(a.found, d)
}
