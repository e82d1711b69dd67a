package collect

import (
	"context"
	"sync"

	"ivdmover/coordinator/retain"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// Needs finds the points that need a pack, by their pages: what a collection spares the
// pack for. It takes what it takes to read all pages.
func Needs(ctx context.Context, r *repo.Repository, pack ivd.PackID) (map[ivd.PointID]bool, error) {
	c := New(r, Options{})
	all, err := c.disks(ctx)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	found := map[ivd.PointID]bool{}
	err = each(ctx, all, func(ctx context.Context, d disk) error {
		pages := c.reader(func(id ivd.PackID) bool { return id == pack }, nil)
		for _, id := range d {
			there, of, err := pages.read(ctx, id, func(ivd.PackRef) {})
			if err != nil {
				return err
			}
			if there && of == retain.Damaged {
				mu.Lock()
				found[id] = true
				mu.Unlock()
			}
		}
		return nil
	})
	return found, err
}

// Readable reads a restore point and all of its pages, as a collection does. Its error says
// why that stops a collection.
func Readable(ctx context.Context, r *repo.Repository, id ivd.PointID) error {
	pages := New(r, Options{}).reader(func(ivd.PackID) bool { return false }, nil)
	there, _, err := pages.read(ctx, id, func(ivd.PackRef) {})
	if err == nil && !there {
		err = ivd.Errorf(ivd.NotFound, "no restore point %s", id)
	}
	return err
}
