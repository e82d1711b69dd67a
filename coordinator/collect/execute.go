package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/coordinator/news"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

// execution is the work on a list whose waits are over (C4).
type execution struct {
	c   *Collector
	rep *Report
	id  string

	packs   *packSet // of the list; those that points need are flagged
	writers map[ivd.WriterID]bool
	points  map[ivd.PointID]bool
	goes    []ivd.PointID

	mu     sync.Mutex
	needed map[ivd.WriterID]bool // guarded by mu: writers of the list that points need

	present        int64 // guarded by mu: points of the list that are there
	deleted, spare format.Counts
}

// batch is how many deletions come after one look at the list.
const batch = 1000

// execute lists the points again, spares what those need that are not on the list, and
// deletes the rest (C4). It reports whether the list's work is done. A list that is gone,
// or that somebody has finished long enough ago, is left alone.
func (c *Collector) execute(ctx context.Context, rep *Report, id string, known *packSet) (ended bool, err error) {
	x := &execution{c: c, rep: rep, id: id, packs: new(packSet), writers: map[ivd.WriterID]bool{}, points: map[ivd.PointID]bool{}, needed: map[ivd.WriterID]bool{}}
	err = c.r.CondemnedParts(ctx, id, func(p format.Condemned) error {
		for _, id := range p.Packs {
			x.packs.Add(id)
		}
		for _, id := range p.Writers {
			x.writers[id] = true
		}
		for _, id := range p.Points {
			x.points[id] = true
		}
		return nil
	})
	if err == nil {
		err = x.sparing(ctx, known)
	}
	if err == nil {
		err = x.deletePoints(ctx)
	}
	if err == nil {
		err = x.deleteRest(ctx)
	}
	add(&rep.Deleted, x.deleted)
	add(&rep.Spared, x.spare)
	if errors.Is(err, errStopped) || ivd.KindOf(err) == ivd.NotFound && err != nil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, c.r.PutDone(ctx, id, x.deleted, x.spare)
}

func add(sum *format.Counts, n format.Counts) {
	sum.Packs += n.Packs
	sum.Points += n.Points
	sum.Writers += n.Writers
}

// sparing flags what is needed by every point that does not go: that is not on the list,
// whether it was given up or not, or that must stay after all.
func (x *execution) sparing(ctx context.Context, known *packSet) error {
	others, err := x.c.standingLists(ctx, x.id)
	if err != nil {
		return err
	}
	marks, err := x.c.r.MarksToCollect(ctx)
	if err != nil {
		return err
	}
	retired, err := x.c.retired(ctx)
	if err != nil {
		return err
	}
	all, err := x.c.disks(ctx)
	if err != nil {
		return err
	}
	proven, err := x.c.prove(ctx, x.packs)
	if err != nil {
		return err
	}
	candidate := func(id ivd.PointID) bool { return x.points[id] && marks.Of(id).Forgotten != nil }
	locked, err := x.c.lockedPoints(ctx, all, candidate)
	if err != nil {
		return err
	}
	isKnown := func(id ivd.PointID) bool {
		return known != nil && known.Has(ivd.PackID(format.Sum([]byte(id))))
	}
	return each(ctx, all, func(ctx context.Context, d disk) error {
		goes, _, err := x.c.judge(ctx, d, judging{
			candidate: candidate,
			kept:      keptBy(marks, locked), listed: others.points, bad: retired.Pack, proven: proven, known: isKnown, quarantined: marks.Quarantined,
			tell: x.spared,
		})
		x.mu.Lock()
		defer x.mu.Unlock()
		x.goes = append(x.goes, goes...)
		for _, id := range d {
			if x.points[id] {
				x.present++
			}
		}
		return err
	})
}

// spared spares a pack and its writer.
func (x *execution) spared(ref ivd.PackRef) {
	x.packs.Flag(ref.Pack, spared)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.writers[ref.Writer] {
		x.needed[ref.Writer] = true
	}
}

// look is what must hold before each batch of deletions: the list stands, and was not
// finished more than a day ago.
func (x *execution) look(ctx context.Context) error {
	stands, err := x.c.r.CondemnedStands(ctx, x.id)
	if err != nil {
		return err
	}
	done, err := x.c.r.ReadDone(ctx, x.id)
	if err != nil {
		return err
	}
	now, err := x.c.r.Begins(ctx, repo.Collecting)
	if err != nil {
		return err
	}
	if !stands || done != nil && now.Sub(done.Ended) > executed {
		return errStopped
	}
	return nil
}

// deletePoints deletes the points that go, confirmed, each with the marker that gave it
// up.
func (x *execution) deletePoints(ctx context.Context) error {
	x.spare.Points = x.present - int64(len(x.goes))
	return x.batches(ctx, len(x.goes), func(ctx context.Context, i int) error {
		id := x.goes[i]
		name := x.c.r.PointName(id)
		if err := x.c.remove(ctx, x.rep, name); err != nil {
			return err
		}
		switch _, err := x.c.r.Store().Stat(ctx, name); {
		case err == nil: // or it was locked meanwhile: the list is gone through once more, and spares it
			return fmt.Errorf("%s was deleted, and is there", name)
		case ivd.KindOf(err) != ivd.NotFound:
			return err
		}
		atomic.AddInt64(&x.deleted.Points, 1)
		return x.c.unmark(ctx, x.rep, id)
	})
}

// unmark deletes the marks of a point that is gone.
func (c *Collector) unmark(ctx context.Context, rep *Report, id ivd.PointID) error {
	for _, name := range c.r.MarkNames(id) {
		if err := c.remove(ctx, rep, name); err != nil {
			return err
		}
	}
	return nil
}

// deleteRest deletes packs and writers' records that were not spared. The list says of a
// pack no more than its id, so both kinds of its name are deleted.
func (x *execution) deleteRest(ctx context.Context) error {
	return x.c.r.CondemnedParts(ctx, x.id, func(p format.Condemned) error {
		listedPacks, listedWriters := int64(len(p.Packs)), int64(len(p.Writers))
		packs := slices.DeleteFunc(p.Packs, func(id ivd.PackID) bool { return x.packs.Flagged(id, spared) })
		writers := slices.DeleteFunc(p.Writers, func(id ivd.WriterID) bool { return x.needed[id] })
		x.spare.Packs += listedPacks - int64(len(packs))
		x.spare.Writers += listedWriters - int64(len(writers))
		x.deleted.Packs += int64(len(packs))
		x.deleted.Writers += int64(len(writers))
		name := func(i int) store.Name { // made when it is needed: those of a part are 25 MB
			switch pack := i / 2; {
			case pack >= len(packs):
				return x.c.r.WriterName(writers[i-2*len(packs)])
			case i%2 == 0:
				return x.c.r.PackName(format.DataPack, packs[pack])
			default:
				return x.c.r.PackName(format.IndexPack, packs[pack])
			}
		}
		return x.batches(ctx, 2*len(packs)+len(writers), func(ctx context.Context, i int) error { return x.c.remove(ctx, x.rep, name(i)) })
	})
}

// batches runs f for each number below n, some at once, and looks at the list before each
// batch of them. What a batch has not done in time is done in another one.
func (x *execution) batches(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	left := make([]int, n)
	for i := range left {
		left[i] = i
	}
	for len(left) > 0 {
		news.Tell(ctx, "deleted %d of %d objects of a list's part", n-len(left), n)
		until := time.Now().Round(0).Add(batchLife) // by the wall clock: this host may be suspended
		if err := x.look(ctx); err != nil {
			return err
		}
		size := min(len(left), batch)
		late, err := x.batch(ctx, until, left[:size], f)
		if err != nil {
			return err
		}
		left = append(late, left[size:]...)
	}
	return nil
}

// batch runs f for some numbers, and returns those that it did not come to in time.
func (x *execution) batch(ctx context.Context, until time.Time, numbers []int, f func(ctx context.Context, i int) error) (late []int, err error) {
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, x.c.r.Store().Properties().Connections))
	for _, i := range numbers {
		g.Go(func() error {
			ctx, cancel := context.WithDeadline(gctx, until)
			defer cancel()
			if store.Late(ctx) == nil {
				err := f(ctx, i)
				if err == nil || gctx.Err() != nil || store.Late(ctx) == nil {
					return err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			late = append(late, i)
			return nil
		})
	}
	return late, g.Wait()
}

// remove deletes an object. One that is locked after all stays, and a later collection
// comes back to it. That versions of it are kept is told, and stops nothing.
func (c *Collector) remove(ctx context.Context, rep *Report, name store.Name) error {
	if store.Locked(name) {
		until, err := c.lockedUntil(ctx, name)
		if err != nil || !until.IsZero() {
			return err
		}
	}
	err := c.r.Store().Delete(ctx, name)
	if errors.Is(err, store.ErrVersionsKept) {
		c.note.Lock()
		defer c.note.Unlock()
		rep.VersionsKept = err.Error()
		return nil
	}
	return err
}
