// Package catalogue tells which restore points there are.
//
// What it promises: what exists is asked of the store every time, so that nothing
// that was deleted is shown; points never change, so those that were read once are
// kept in memory. One that cannot be read is shown with its failure, so that it
// hides no other; one that counts as never committed is left out.
package catalogue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

const (
	readAtOnce = 16     // points that are read from the store at once
	keptPoints = 50_000 // points that are kept in memory: some 500 bytes each
)

// Point is a restore point without its pages.
type Point struct {
	ID        ivd.PointID
	Disk      ivd.DiskRef // as it was then
	Name      string      // the disk's, at that time
	Datastore string      // its name, or else its id
	Time      time.Time   // of the snapshot
	Run       ivd.RunID
	Parent    ivd.PointID // empty: the first of its disk
	Mode      string
	Geometry  ivd.Geometry
	Stats     ivd.Stats
	Failure   *ivd.Failure // it is there and cannot be read: only its id and time are known
}

// Catalogue is the points of one repository. Its methods are safe for concurrent
// use.
type Catalogue struct {
	repo *repo.Repository

	mu    sync.Mutex
	known map[ivd.PointID]Point // guarded by mu
}

// New returns the catalogue of a repository.
func New(r *repo.Repository) *Catalogue {
	return &Catalogue{repo: r, known: map[ivd.PointID]Point{}}
}

// IDs lists the restore points of a disk or of all, in order: by disk and then by
// time.
func (c *Catalogue) IDs(ctx context.Context, disk ivd.DiskID) ([]ivd.PointID, error) {
	var ids []ivd.PointID
	for info, err := range c.repo.Points(ctx, disk) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, info.ID)
	}
	slices.Sort(ids)
	return ids, nil
}

// Points reads the restore points of a disk or of all, in the order of their ids.
func (c *Catalogue) Points(ctx context.Context, disk ivd.DiskID) ([]Point, error) {
	ids, err := c.IDs(ctx, disk)
	if err != nil {
		return nil, err
	}
	points := make([]Point, len(ids))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(readAtOnce)
	for i, id := range ids {
		group.Go(func() error {
			p, err := c.Point(gctx, id)
			switch ivd.KindOf(err) {
			case ivd.NotFound, ivd.Expired:
				return nil
			case ivd.Corrupt, ivd.Unsupported:
				p = Point{ID: id, Time: TimeOf(id), Failure: ivd.FailureOf(err)}
				err = nil
			}
			points[i] = p
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(points, func(p Point) bool { return p.ID == "" }), nil
}

// Point reads one restore point.
func (c *Catalogue) Point(ctx context.Context, id ivd.PointID) (Point, error) {
	c.mu.Lock()
	p, ok := c.known[id]
	c.mu.Unlock()
	if ok {
		return p, nil
	}
	stored, _, err := c.repo.ReadPoint(ctx, id)
	if ivd.KindOf(err) == ivd.NotFound {
		return Point{}, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no restore point %s", id), Remedy: "`ivd points` lists them"}
	}
	if err != nil {
		return Point{}, err
	}
	p = pointOf(stored)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= keptPoints {
		clear(c.known) // reading anew is cheaper than to keep account of use
	}
	c.known[id] = p
	return p, nil
}

func pointOf(p format.Point) Point {
	out := Point{
		ID: p.ID, Disk: p.Disk, Name: p.Name, Datastore: p.DatastoreName, Time: p.Time, Run: p.Run,
		Parent: p.Parent, Mode: p.Mode, Geometry: p.Geometry, Stats: p.Stats,
	}
	if out.Datastore == "" {
		out.Datastore = string(p.Disk.Datastore())
	}
	return out
}

// TimeOf is the time in a point's name, which says it to the second.
func TimeOf(id ivd.PointID) time.Time {
	_, name, _ := strings.Cut(string(id), "/")
	stamp, _, _ := strings.Cut(name, "-")
	t, err := time.Parse("20060102T150405Z", stamp)
	if err != nil {
		return time.Time{}
	}
	return t
}
