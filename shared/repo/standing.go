package repo

import (
	"context"
	"fmt"
	"path"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Standing is what no new point may build on: what the condemned lists name that
// stood when it was read, and the packs that are retired. It does not change.
type Standing struct {
	repository string
	condemned  map[ivd.PackID]struct{}
	points     map[ivd.PointID]struct{}
	retired    map[ivd.PackID]struct{}
	// Ignored names objects that lie where lists and markers lie and are none of
	// this repository's. They are for people to look at.
	Ignored []store.Name
}

// Pack tells whether a pack is condemned or retired: to be treated as absent by
// writers.
func (s *Standing) Pack(id ivd.PackID) bool {
	if _, ok := s.condemned[id]; ok {
		return true
	}
	_, ok := s.retired[id]
	return ok
}

// Point tells whether a point is condemned.
func (s *Standing) Point(id ivd.PointID) bool {
	_, ok := s.points[id]
	return ok
}

// Standing reads all condemned lists and retired markers (W2, R1). It must follow
// the lease under which it is used. A list that cannot be read is an error, since
// what it names is not known; one that is gone when it is read has been removed,
// which happens 8 days after its work was done (C5) and is no error.
func (r *Repository) Standing(ctx context.Context) (*Standing, error) {
	s := &Standing{repository: r.info.ID, condemned: map[ivd.PackID]struct{}{}, points: map[ivd.PointID]struct{}{}, retired: map[ivd.PackID]struct{}{}}
	lists, err := r.names(ctx, collectDir, func(n string) bool { return path.Base(n) == "condemned" })
	if err != nil {
		return nil, err
	}
	if err := r.each(ctx, lists, s.addList); err != nil {
		return nil, fmt.Errorf("read the condemned lists: %w", err)
	}
	markers, err := r.names(ctx, retiredDir, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	if err := r.each(ctx, markers, s.addMarker); err != nil {
		return nil, fmt.Errorf("read the retired markers: %w", err)
	}
	return s, nil
}

func (r *Repository) names(ctx context.Context, prefix string, want func(string) bool) ([]store.Name, error) {
	var names []store.Name
	for info, err := range r.st.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		if want(string(info.Name)) {
			names = append(names, info.Name)
		}
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

func (s *Standing) addList(o store.Object) error {
	c, err := format.DecodeCondemned(o.Body)
	if err != nil {
		return err
	}
	if c.Repository != s.repository {
		s.Ignored = append(s.Ignored, o.Name)
		return nil
	}
	for _, p := range c.Packs {
		s.condemned[p] = struct{}{}
	}
	for _, p := range c.Points {
		s.points[p] = struct{}{}
	}
	return nil
}

// addMarker takes a marker that cannot be read for what its name says: to treat a
// pack as absent costs space, and never safety.
func (s *Standing) addMarker(o store.Object) error {
	id, err := ivd.ParsePackID(strings.TrimPrefix(string(o.Name), retiredDir))
	if err != nil {
		s.Ignored = append(s.Ignored, o.Name)
		return nil
	}
	m, err := format.DecodeRetired(o.Body)
	if err == nil && (m.Repository != s.repository || m.Pack != id) {
		s.Ignored = append(s.Ignored, o.Name)
		return nil
	}
	s.retired[id] = struct{}{}
	return nil
}
