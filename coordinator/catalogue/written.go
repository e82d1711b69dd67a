package catalogue

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/damage"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Written is what some writers have stored.
type Written struct {
	Packs damage.Packs
	// Points are the restore points that need some of the packs; Damaged says which.
	Points []Point
	// Unnamed are the packs that no restore point needs, such as those of a run that is
	// not over.
	Unnamed int
	// Unread says of packs and points why it is not known whose they are, or what they
	// need.
	Unread []error
}

// Written finds every pack that writers have stored: by the pages of all restore points,
// which name the writer of each pack, without whose name its frames do not open in an
// encrypted repository, and of packs that no page names by the pack itself: as its
// registered writer has signed it, in a plain repository as its header says. That costs what it takes to read all pages, a listing of all packs, and a
// read for each pack that nothing names.
func (c *Catalogue) Written(ctx context.Context, by func(ivd.WriterID) bool) (Written, error) {
	points, err := c.Points(ctx, Disk{})
	if err != nil {
		return Written{}, err
	}
	s := &writtenSearch{c: c, by: by, pages: map[ivd.PageRef][]ivd.PackID{}, named: map[ivd.PackID]struct{}{}, found: Written{Packs: damage.Packs{}}}
	for _, p := range points {
		if p.Failure != nil {
			s.found.Unread = append(s.found.Unread, fmt.Errorf("restore point %s: %w", p.ID, p.Failure.Err()))
			continue
		}
		if p.Damaged, err = s.point(ctx, p.ID); err != nil {
			return Written{}, fmt.Errorf("look at %s: %w", p.ID, err)
		}
		if len(p.Damaged) > 0 {
			s.found.Points = append(s.found.Points, p)
		}
	}
	if err := s.unnamed(ctx); err != nil {
		return Written{}, err
	}
	return s.found, nil
}

// writtenSearch is a Written that is being found.
type writtenSearch struct {
	c     *Catalogue
	by    func(ivd.WriterID) bool
	pages map[ivd.PageRef][]ivd.PackID // of those that were read: which of the writers' packs they need
	named map[ivd.PackID]struct{}      // by a page

	mu    sync.Mutex
	found Written // guarded by mu while goroutines are at work
}

// point returns which of the writers' packs a point needs.
func (s *writtenSearch) point(ctx context.Context, id ivd.PointID) ([]ivd.PackID, error) {
	p, _, err := s.c.repo.ReadPoint(ctx, id)
	if ivd.KindOf(err) == ivd.NotFound {
		return nil, nil // it was deleted meanwhile
	}
	if err != nil {
		return nil, err
	}
	var all []ivd.PackID
	for _, ref := range p.Pages {
		needs, known := s.pages[ref]
		if !known {
			if needs, err = s.page(ctx, ref, p.Geometry); err != nil {
				return nil, err
			}
			s.pages[ref] = needs
		}
		all = append(all, needs...)
	}
	return damage.Sorted(all), nil
}

func (s *writtenSearch) page(ctx context.Context, ref ivd.PageRef, g ivd.Geometry) (needs []ivd.PackID, err error) {
	page, err := s.c.repo.Page(ctx, ref, g)
	switch ivd.KindOf(err) {
	case ivd.NotFound, ivd.Corrupt, ivd.Unsupported:
		s.found.Unread = append(s.found.Unread, err)
		page, err = &format.Page{}, nil
	}
	if err != nil {
		return nil, err
	}
	kinds := page.Kinds(ref)
	for _, p := range append(page.Packs, ref.Place.PackRef) {
		s.named[p.Pack] = struct{}{}
		if !s.by(p.Writer) {
			continue
		}
		s.found.Packs[p.Pack] = kinds[p.Pack]
		needs = append(needs, p.Pack)
	}
	return needs, nil
}

// unnamed adds the writers' packs that no page names.
func (s *writtenSearch) unnamed(ctx context.Context) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(readAtOnce)
	for p, err := range s.c.repo.Packs(ctx) {
		if err != nil {
			_ = group.Wait() // this error came first
			return err
		}
		if _, named := s.named[p.ID]; named {
			continue
		}
		group.Go(func() error {
			writer, err := s.c.repo.PackWriter(inner, p.Kind, p.ID)
			s.mu.Lock()
			defer s.mu.Unlock()
			switch kind := ivd.KindOf(err); {
			case kind == ivd.NotFound: // deleted meanwhile
			case kind == ivd.Corrupt, kind == ivd.Unsupported, kind == ivd.Denied:
				s.found.Unread = append(s.found.Unread, err)
			case err != nil:
				return err
			case s.by(writer):
				s.found.Packs[p.ID] = p.Kind
				s.found.Unnamed++
			}
			return nil
		})
	}
	return group.Wait()
}
