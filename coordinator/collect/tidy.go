package collect

import (
	"context"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// removeList removes a list whose time is over, or the parts of one that never was.
func (c *Collector) removeList(ctx context.Context, rep *Report, l repo.Collection) error {
	if c.o.DryRun {
		return nil
	}
	for _, name := range c.r.CollectionObjects(l) {
		if err := c.remove(ctx, rep, name); err != nil {
			return err
		}
		rep.Removed++
	}
	return nil
}

// tidy removes the leases that are over, and what they had prepared (C7).
func (c *Collector) tidy(ctx context.Context, rep *Report, now time.Time) error {
	if c.o.DryRun {
		return nil
	}
	for l, err := range c.r.Leases(ctx) {
		if err != nil {
			return err
		}
		if now.Before(l.Deadline.Add(repo.Margin)) {
			continue
		}
		if err := c.r.Store().Revoke(ctx, l.ID); err != nil {
			return err
		}
		if err := c.remove(ctx, rep, c.r.LeaseName(l.ID)); err != nil {
			return err
		}
		rep.Removed++
	}
	return nil
}

// tidyHooks has few lists of hooks made of many, and removes those of which nothing is of
// use (C7).
func (c *Collector) tidyHooks(ctx context.Context, rep *Report, s *survey, now time.Time) error {
	useless, err := c.r.RollUpHooks(ctx, now.Add(-repo.Margin), func(id ivd.PackID) bool { return s.marked.Has(id) || s.young.Has(id) })
	if err != nil {
		return err
	}
	for _, name := range useless {
		if err := c.remove(ctx, rep, name); err != nil {
			return err
		}
		rep.Removed++
	}
	return nil
}

// tidyMarks removes the marks of points that are gone (C4): whoever deleted such a point
// died before it came to them.
func (c *Collector) tidyMarks(ctx context.Context, rep *Report, s *survey) error {
	there := map[ivd.PointID]bool{}
	for _, d := range s.disks {
		for _, id := range d {
			there[id] = true
		}
	}
	for _, id := range s.marks.Points() {
		if there[id] || s.marks.Of(id).Unknown != nil { // what is not understood is not deleted
			continue
		}
		switch _, err := c.r.Store().Stat(ctx, c.r.PointName(id)); { // a listing is no moment
		case err == nil:
			continue
		case ivd.KindOf(err) != ivd.NotFound:
			return err
		}
		if err := c.unmark(ctx, rep, id); err != nil {
			return err
		}
		rep.Removed++
	}
	return nil
}
