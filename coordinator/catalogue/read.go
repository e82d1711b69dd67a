package catalogue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"ivdmover/coordinator/news"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// state is what kept points count in: where any of it changes all are read anew.
func (c *Catalogue) state() string {
	i := c.repo.Info()
	return fmt.Sprintf("%d %s %s %s %s %d %d", valueVersion, i.ID, c.repo.Domain(), i.Root, i.Incarnation, i.Generation, c.repo.RingGeneration())
}

// load makes points of what a list of names has. Those that are kept are not asked for;
// others are as the records of their runs tell, where told is enough, or else read. A point
// that cannot be read has its failure; one that was deleted meanwhile is not there.
func (c *Catalogue) load(ctx context.Context, of Disk, infos []repo.PointInfo, told bool) ([]Point, error) {
	state := c.state()
	points := make([]Point, len(infos))
	at := make(map[ivd.PointID]int, len(infos))
	for i, info := range infos {
		at[info.ID] = i
	}
	changed := map[Disk]bool{} // whose kept points are not all that it has, or more
	c.shelf.get(state, of, func(p Point) {
		i, there := at[p.ID]
		if there && (told || !p.told) {
			points[i] = p
		}
		if !there {
			changed[diskOf(p.ID)] = true
		}
	})
	var missing []int
	for i, info := range infos {
		switch {
		case info.Unknown != nil:
			points[i] = Point{ID: info.ID, Failure: ivd.FailureOf(info.Unknown)}
		case points[i].ID == "":
			missing = append(missing, i)
		}
	}
	unread := missing
	if told {
		unread = c.ask(ctx, infos, slices.Clone(missing), points)
	}
	if err := c.read(ctx, infos, unread, points); err != nil {
		return nil, err
	}
	for _, i := range missing {
		if points[i].ID != "" && points[i].Failure == nil {
			changed[diskOf(points[i].ID)] = true
		}
	}
	c.keep(state, changed, points)
	return slices.DeleteFunc(points, func(p Point) bool { return p.ID == "" }), nil
}

// ask fills in points by the records of their runs, where that is fewer requests than
// to read the points. It returns those that are left: of runs that are not over, or
// whose records cannot be read or say too little.
func (c *Catalogue) ask(ctx context.Context, infos []repo.PointInfo, missing []int, points []Point) (left []int) {
	runs := map[ivd.RunID][]int{}
	var order []ivd.RunID
	for _, i := range missing {
		run := infos[i].ID.Run()
		if runs[run] == nil {
			order = append(order, run)
		}
		runs[run] = append(runs[run], i)
	}
	var asked atomic.Int64
	var group errgroup.Group
	group.SetLimit(readAtOnce)
	for _, run := range order {
		if len(runs[run]) < 2 {
			continue
		}
		group.Go(func() error {
			news.Tell(ctx, "read the records of %d of %d runs", asked.Add(1), len(order))
			r, err := c.repo.ReadRun(ctx, run)
			if err != nil {
				return nil // the points themselves are asked for
			}
			says := make(map[ivd.PointID]format.RunPoint, len(r.Points))
			for _, p := range r.Points {
				says[p.Point] = p
			}
			for _, i := range runs[run] {
				if p, ok := says[infos[i].ID]; ok && p.Tells() {
					points[i] = pointOfRun(p)
				}
			}
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	return slices.DeleteFunc(missing, func(i int) bool { return points[i].ID != "" })
}

// read reads points, several at once.
func (c *Catalogue) read(ctx context.Context, infos []repo.PointInfo, missing []int, points []Point) error {
	var read atomic.Int64
	var group errgroup.Group
	group.SetLimit(readAtOnce)
	for _, i := range missing {
		group.Go(func() error {
			p, err := c.readPoint(ctx, infos[i].ID)
			news.Tell(ctx, "read %d of %d restore points", read.Add(1), len(missing))
			switch {
			case ivd.KindOf(err) == ivd.NotFound:
				return nil
			case err != nil:
				_, partial := infos[i].ID.Partial()
				p = Point{ID: infos[i].ID, Time: infos[i].ID.Time(), Partial: partial, Failure: ivd.FailureOf(err)}
			}
			points[i] = p
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// keep puts what was read of the disks that have changed on the shelf; what could not
// be read is asked for again.
func (c *Catalogue) keep(state string, changed map[Disk]bool, points []Point) {
	if len(changed) == 0 {
		return
	}
	disks := make(map[Disk][]Point, len(changed))
	for d := range changed {
		disks[d] = nil
	}
	for _, p := range points {
		if d := diskOf(p.ID); changed[d] && p.Failure == nil && p.ID != "" {
			disks[d] = append(disks[d], p)
		}
	}
	c.shelf.put(state, disks)
}

func (c *Catalogue) readPoint(ctx context.Context, id ivd.PointID) (Point, error) {
	stored, _, err := c.repo.ReadPoint(ctx, id)
	if ivd.KindOf(err) == ivd.NotFound {
		return Point{}, notThere(id)
	}
	if err != nil {
		return Point{}, err
	}
	return pointOf(stored), nil
}

func pointOf(p format.Point) Point {
	out := Point{
		ID: p.ID, Disk: p.Ref(), Name: p.Disk.Name,
		Datastore: cmp.Or(p.Disk.Datastore.Name, string(p.Disk.Datastore.ID)), Time: p.Time.UTC(), SealedAt: p.SealedAt.UTC(), Protected: p.ProtectedUntil.UTC(),
		Mode: p.Tracking.Mode, Consistency: p.Consistency, Policy: p.Policy, Partial: p.Partial != nil, Geometry: p.Geometry, Stats: p.Stats,
	}
	if p.Parent != nil {
		out.Parent = p.Parent.Point
	}
	return out
}

// pointOfRun is a point as the record of its run tells of it.
func pointOfRun(p format.RunPoint) Point {
	_, partial := p.Point.Partial()
	return Point{
		ID: p.Point, Disk: ivd.NewDiskRef(p.Point.Source(), p.Datastore.ID, p.Point.Disk()), Name: p.Name,
		Datastore: cmp.Or(p.Datastore.Name, string(p.Datastore.ID)), Time: p.Time.UTC(), SealedAt: p.SealedAt.UTC(), Protected: p.ProtectedUntil.UTC(), Parent: p.Parent,
		Mode: p.Mode, Consistency: p.Consistency, Policy: p.Policy, Partial: partial, Geometry: p.Geometry, Stats: p.Stats, told: true,
	}
}
