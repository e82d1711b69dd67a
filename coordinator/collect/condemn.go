package collect

import (
	"context"
	"fmt"
	"sync"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// pointsOfAll asks for all points.
var pointsOfAll = repo.PointsOf{}

// survey is what a collection finds out before it condemns anything (C1).
type survey struct {
	standing lists
	retired  *repo.Retired
	marks    *repo.Marks
	disks    []disk

	marked *packSet // packs that points need which stay
	known  *packSet // those points, by the Sums of their names
	young  *packSet // packs that no point needs, and that are too young to go

	mu      sync.Mutex
	writers map[ivd.WriterID]bool // guarded by mu: of the packs that are marked
	points  []ivd.PointID         // guarded by mu: those that go
	kept    []KeptPoint           // guarded by mu
}

// lists are the condemned lists that stand, put together.
type lists struct {
	pending *packSet              // packs of lists whose work is not done
	points  map[ivd.PointID]bool  // points of those lists, and of those that are late
	late    map[ivd.PointID]bool  // points of lists that are done, and may still be worked on by others
	writers map[ivd.WriterID]bool // of lists whose work is not done
	named   int64                 // how many packs those lists name
	deleted int64                 // and how many were deleted by lists that are done
}

// standingLists reads all condemned lists but one.
func (c *Collector) standingLists(ctx context.Context, but string) (lists, error) {
	s := lists{pending: new(packSet), points: map[ivd.PointID]bool{}, late: map[ivd.PointID]bool{}, writers: map[ivd.WriterID]bool{}}
	all, err := c.r.Collections(ctx)
	if err != nil {
		return s, err
	}
	now, err := c.r.Begins(ctx, repo.Collecting)
	if err != nil {
		return s, err
	}
	for _, l := range all {
		if l.Done != nil {
			s.deleted += l.Done.Deleted.Packs
		}
		if !l.Published || l.ID == but || l.Done != nil && now.Sub(l.Done.Ended) > executed+repo.Margin {
			continue
		}
		err := gone(c.r.CondemnedParts(ctx, l.ID, func(p format.Condemned) error {
			s.add(p, l.Done != nil)
			return nil
		}))
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// add adds what a part of a list names.
func (s *lists) add(p format.Condemned, done bool) {
	for _, id := range p.Points {
		s.points[id] = true
		if done {
			s.late[id] = true
		}
	}
	if done {
		return
	}
	for _, id := range p.Writers {
		s.writers[id] = true
	}
	s.named += int64(len(p.Packs))
	for _, id := range p.Packs {
		s.pending.Add(id)
	}
}

// condemn marks what points need (C1), and publishes a list of what nobody needs (C2). It
// returns the list's id, and the points that it has seen to need nothing of it.
func (c *Collector) condemn(ctx context.Context, rep *Report, now time.Time) (string, *packSet, error) {
	s, err := c.mark(ctx)
	if err != nil {
		return "", nil, err
	}
	rep.Kept = append(rep.Kept, s.kept...)
	for _, err := range s.marks.Ignored {
		rep.Ignored = append(rep.Ignored, err.Error())
	}
	gone, err := c.idleWriters(ctx, s, now) // before the packs are listed: what they have written is there
	if err != nil {
		return "", nil, err
	}
	list := c.r.NewCondemning()
	id, err := c.list(ctx, rep, s, list, gone, now)
	if id == "" && !c.o.DryRun {
		if abandonErr := list.Abandon(context.WithoutCancel(ctx)); err == nil {
			err = abandonErr
		}
	}
	if err == nil && !c.o.DryRun {
		if err = c.tidyHooks(ctx, rep, s, now); err == nil {
			err = c.tidyMarks(ctx, rep, s)
		}
	}
	return id, s.known, err
}

// mark reads the pack sets of all points that stay (C1).
func (c *Collector) mark(ctx context.Context) (*survey, error) {
	s := &survey{marked: new(packSet), known: new(packSet), young: new(packSet), writers: map[ivd.WriterID]bool{}}
	var err error
	if s.standing, err = c.standingLists(ctx, ""); err != nil {
		return nil, err
	}
	if s.retired, err = c.retired(ctx); err != nil {
		return nil, err
	}
	if s.marks, err = c.r.MarksToCollect(ctx); err != nil {
		return nil, err
	}
	if s.disks, err = c.disks(ctx); err != nil {
		return nil, err
	}
	proven, err := c.prove(ctx, s.marked)
	if err != nil {
		return nil, err
	}
	forgotten := func(id ivd.PointID) bool { return s.marks.Of(id).Forgotten != nil }
	locked, err := c.lockedPoints(ctx, s.disks, forgotten)
	if err != nil {
		return nil, err
	}
	err = each(ctx, s.disks, func(ctx context.Context, d disk) error {
		goes, stays, err := c.judge(ctx, d, judging{
			candidate: forgotten,
			kept:      keptBy(s.marks, locked),
			listed:    s.standing.points,
			late:      s.standing.late,
			leave:     true,
			bad:       s.retired.Pack,
			proven:    proven,

			quarantined: s.marks.Quarantined,
			root:        func(id ivd.PointID) { s.known.Add(ivd.PackID(format.Sum([]byte(id)))) },
			tell:        s.needs,
		})
		s.mu.Lock()
		defer s.mu.Unlock()
		s.points, s.kept = append(s.points, goes...), append(s.kept, stays...)
		return err
	})
	return s, err
}

// needs marks a pack and its writer.
func (s *survey) needs(ref ivd.PackRef) {
	s.marked.Add(ref.Pack)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers[ref.Writer] = true
}

// idleWriters are the writers whose record nothing needs and nothing locks: no marked pack
// is theirs, and their lease is over, so that whatever they have stored is there by now.
func (c *Collector) idleWriters(ctx context.Context, s *survey, now time.Time) ([]ivd.WriterID, error) {
	var idle []ivd.WriterID
	over := map[ivd.LeaseID]bool{}
	for l, err := range c.r.Leases(ctx) {
		if err != nil {
			return nil, err
		}
		over[l.ID] = !now.Before(l.Deadline.Add(repo.Margin))
	}
	for id, err := range c.r.WriterIDs(ctx) {
		if err != nil {
			return nil, err
		}
		if s.writers[id] || s.standing.writers[id] {
			continue
		}
		w, err := c.r.ReadWriter(ctx, id)
		switch ivd.KindOf(err) {
		case ivd.NotFound, ivd.Corrupt, ivd.Unsupported:
			continue // gone, or not understood
		}
		if err != nil {
			return nil, err
		}
		ended, stands := over[w.Lease]
		if !stands { // it may have been opened since the list
			_, err := c.r.Store().Stat(ctx, c.r.LeaseName(w.Lease))
			if err != nil && ivd.KindOf(err) != ivd.NotFound {
				return nil, err
			}
			ended = err != nil
		}
		if !ended {
			continue
		}
		until, err := c.lockedUntil(ctx, c.r.WriterName(id))
		if err != nil {
			return nil, err
		}
		if until.IsZero() {
			idle = append(idle, id)
		}
	}
	return idle, nil
}

// packGoes reports whether a pack is to be condemned: nobody needs it, no other list names
// it, and it is neither young nor locked.
func (c *Collector) packGoes(ctx context.Context, rep *Report, s *survey, p repo.ListedPack, now time.Time) (bool, error) {
	switch {
	case s.marked.Has(p.ID), s.standing.pending.Has(p.ID):
		return false, nil
	case now.Sub(p.Modified) < c.o.MinAge:
		rep.Young++
		s.young.Add(p.ID)
		return false, nil
	}
	locked, err := c.packLocked(ctx, p.Kind, p.ID, p.Modified)
	if locked {
		rep.Locked++
	}
	return !locked && err == nil, err
}

// list puts on a list what no marked point needs, and publishes it (C2). The id is empty
// where there is nothing to condemn, or nothing is to be stored.
func (c *Collector) list(ctx context.Context, rep *Report, s *survey, list *repo.Condemning, writers []ivd.WriterID, now time.Time) (id string, err error) {
	var stored int64
	for p, err := range c.r.Packs(ctx) {
		if err != nil {
			return "", err
		}
		stored++
		goes, err := c.packGoes(ctx, rep, s, p, now)
		if err != nil {
			return "", err
		}
		if !goes {
			continue
		}
		rep.Condemned.Packs++
		rep.Bytes += p.Length
		if c.o.DryRun {
			continue
		}
		if err := list.Pack(ctx, p.ID); err != nil {
			return "", err
		}
	}
	if rep.Young > 0 || rep.Locked > 0 { // whose they are is not known, and a writer's record goes with its last pack
		writers = nil
	}
	rep.Condemned.Points, rep.Condemned.Writers = int64(len(s.points)), int64(len(writers))
	if rep.Condemned == (format.Counts{}) {
		return "", nil
	}
	rep.Points = append(rep.Points, s.points...)
	tooMuch := c.checkShare(s, rep.Condemned.Packs, stored)
	if c.o.DryRun && tooMuch != nil {
		rep.Refused, tooMuch = tooMuch.Error(), nil
	}
	if tooMuch != nil || c.o.DryRun {
		return "", tooMuch
	}
	for _, w := range writers {
		if err := list.Writer(ctx, w); err != nil {
			return "", err
		}
	}
	for _, p := range s.points {
		if err := list.Point(ctx, p); err != nil {
			return "", err
		}
	}
	if err := list.Publish(ctx); err != nil {
		return list.ID(), err
	}
	rep.List = list.ID()
	return list.ID(), nil
}

// checkShare refuses to condemn too much of a domain without a person: somebody, or a
// mistake, may have given up all points.
func (c *Collector) checkShare(s *survey, condemned, stored int64) error {
	all := stored + s.standing.deleted
	share := float64(condemned+s.standing.named+s.standing.deleted) / float64(max(all, 1))
	if share <= c.o.MaxShare || condemned == 0 {
		return nil
	}
	return &ivd.Error{
		Kind: ivd.Unmet, Op: "collect",
		Err:    fmt.Errorf("with what was condemned in the last 8 days, %d of %d packs would go, %.0f %%: more than the %.0f %% that may go without a person", condemned+s.standing.named+s.standing.deleted, all, share*100, c.o.MaxShare*100),
		Remedy: "see with `ivd collect --dry-run` what goes and why; where it is meant, run `ivd collect --max-share 100%`",
	}
}
