// Package collect deletes what no restore point names (COLLECT.md's rules C1 to C7): any
// number of collectors at once, beside backups and restores, without a lock.
//
// It promises that nothing goes that a committed point names, or that a reader whose
// lease stands still needs, whatever is interrupted, late, or answered with an error; and
// that whatever a collector has left undone the next one finishes. It changes the
// repository only by the records below collect/ and by deletions. What it does not
// understand stops it by name, and an outage is never taken for absence. It holds 13
// bytes of each pack in memory, of each point as many, and one page for each
// point that it reads at once.
package collect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"ivdmover/coordinator/news"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

// Options are how a collection is done.
type Options struct {
	// MinAge is how old a pack must be to be condemned: a precaution.
	MinAge time.Duration
	// MaxShare is how much of a domain's packs may be condemned within the days for which
	// lists are kept, from 0 to 1; 0 is DefaultShare.
	MaxShare float64
	// DryRun stores and deletes nothing.
	DryRun bool
	Log    *slog.Logger // nil: nothing is told
}

// The defaults.
const (
	DefaultMinAge = 24 * time.Hour
	DefaultShare  = 0.5
)

// Times of collections.
const (
	// kept is how long a list stands after its work is done (C5). Lists are removed no
	// sooner than 8 days after that; W3 counts on 7 from the last deletion, which comes
	// up to a day and a batch later.
	kept = 8*24*time.Hour + 2*repo.Margin
	// executed is how long after a list's first end another executor may still delete (C4).
	executed = 24 * time.Hour
	// batchLife is how long deletions go on after the list was looked at: what is sent by
	// then is dead within Margin (C4).
	batchLife = repo.Margin - (15+5)*time.Minute
	// orphaned is the age of parts that no list names, and never will.
	orphaned = 48 * time.Hour
)

// Collector collects in one domain of a repository.
type Collector struct {
	note sync.Mutex // guards what reports are told by several at once
	r    *repo.Repository
	o    Options
}

// New makes one. The repository is opened with credentials that may delete.
func New(r *repo.Repository, o Options) *Collector {
	if o.MaxShare == 0 {
		o.MaxShare = DefaultShare
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Collector{r: r, o: o}
}

// Counts are how much of a list something is true of.
type Counts = format.Counts

// Report is what a collection found and did.
type Report struct {
	Repository string `json:"repository"`
	DryRun     bool   `json:"dry_run"`
	// Condemned is what this collection puts on a list of its own; Bytes are its packs'.
	Condemned format.Counts `json:"condemned"`
	Bytes     int64         `json:"condemned_bytes"`
	List      string        `json:"list,omitempty"` // its id; empty where there is nothing to condemn
	// Points are those that this collection condemns, or would.
	Points []ivd.PointID `json:"points"`
	// Refused is why a collection would condemn nothing of this: it is too much. Of a dry run.
	Refused string `json:"refused,omitempty"`
	// Young are the packs that no point needs and that are too young to be condemned.
	Young int64 `json:"young_packs"`
	// Locked are the packs that no point needs and that are locked in the store: a later
	// collection condemns them.
	Locked int64 `json:"locked_packs"`
	// Kept are the points that were given up and stay, each with why.
	Kept []KeptPoint `json:"kept_points"`
	// Ignored says of marks beside points, such as pins and holds, why they have no effect.
	Ignored []string `json:"ignored_marks"`
	// Lists are those that stand, that of this collection with them.
	Lists   []List        `json:"lists"`
	Deleted format.Counts `json:"deleted"`
	Spared  format.Counts `json:"spared"`
	// Removed are old leases, lists and hooks that were removed.
	Removed int64 `json:"removed_records"`
	// VersionsKept says that the bucket keeps versions of what was deleted, and why they
	// could not be removed.
	VersionsKept string `json:"versions_kept,omitempty"`
}

// KeptPoint is a point that was given up and stays.
type KeptPoint struct {
	Point ivd.PointID `json:"point"`
	Why   string      `json:"why"`
}

// List is a condemned list that stands.
type List struct {
	ID      string               `json:"id"`
	Named   format.Counts        `json:"condemned"`
	Waiting []format.WaitedLease `json:"waits_for"`
	Done    *time.Time           `json:"done,omitempty"`
}

// Collect does what can be done now: it finishes the lists of others, condemns what no
// point names, and deletes what nobody can rely on any more. What it must wait for it
// tells in its report; to be called again later, by whomever, is enough.
func (c *Collector) Collect(ctx context.Context) (Report, error) {
	rep := Report{Repository: c.r.ID(), DryRun: c.o.DryRun, Kept: []KeptPoint{}, Points: []ivd.PointID{}, Ignored: []string{}, Lists: []List{}}
	now, err := c.r.Begins(ctx, repo.Collecting)
	if err == nil && !c.o.DryRun {
		err = c.Able(ctx)
	}
	if err != nil {
		return rep, fmt.Errorf("collect: %w", err)
	}
	lists, err := c.r.Collections(ctx)
	if err != nil {
		return rep, fmt.Errorf("collect: %w", err)
	}
	for i, l := range lists {
		news.Tell(ctx, "going on with list %d of %d", i+1, len(lists))
		if err := c.goOn(ctx, &rep, l, now); err != nil {
			return rep, fmt.Errorf("collection %s: %w", l.ID, err)
		}
	}
	news.Tell(ctx, "reading what restore points need")
	mine, known, err := c.condemn(ctx, &rep, now)
	if err != nil {
		return rep, fmt.Errorf("find what no restore point needs: %w", err)
	}
	if mine != "" {
		if err := c.finish(ctx, &rep, mine, known); err != nil {
			return rep, fmt.Errorf("collection %s: %w", mine, err)
		}
	}
	if err := c.tidy(ctx, &rep, now); err != nil {
		return rep, fmt.Errorf("remove old records: %w", err)
	}
	return rep, nil
}

// Able says why this collector can delete nothing, which it finds out by deletions of
// names that are not there: who has no right to delete condemns nothing either. Kind
// Denied: no key, or no right.
func (c *Collector) Able(ctx context.Context) error {
	if err := c.r.MayCollect(); err != nil {
		return err
	}
	none := ivd.NewPointID(c.r.Domain(), ivd.SourceID(uuid.Nil.String()), ivd.DiskID(uuid.Nil.String()), time.Unix(0, 0), "none")
	for _, name := range []store.Name{c.r.PackName(format.DataPack, ivd.PackID{}), c.r.PackName(format.IndexPack, ivd.PackID{}), c.r.PointName(none)} {
		err := c.r.Store().Delete(ctx, name)
		switch {
		case errors.Is(err, store.ErrVersionsKept): // which a report tells
		case ivd.KindOf(err) == ivd.Denied:
			return &ivd.Error{Kind: ivd.Denied, Op: "try whether the store lets these credentials delete", Err: err, Remedy: "name credentials that may in collect.credentials_file"}
		case err != nil:
			return err
		}
	}
	return nil
}

// goOn takes somebody's list over, from whatever step (C6), or removes one whose time is
// over (C5).
func (c *Collector) goOn(ctx context.Context, rep *Report, l repo.Collection, now time.Time) error {
	switch {
	case l.Done != nil && now.Sub(l.Done.Ended) >= kept:
		return c.removeList(ctx, rep, l)
	case !l.Published && l.Done == nil && now.Sub(l.Newest) >= orphaned:
		if stands, err := c.r.CondemnedStands(ctx, l.ID); err != nil || stands {
			return err
		}
		return c.removeList(ctx, rep, l)
	case !l.Published: // somebody is making it, or the listing did not show it
		return nil
	case l.Done != nil:
		shown, err := c.describe(ctx, l.ID)
		shown.Done = &l.Done.Ended
		if err == nil {
			rep.Lists = append(rep.Lists, shown)
		}
		return gone(err)
	}
	return c.finish(ctx, rep, l.ID, nil)
}

// gone takes a list that is gone for one that somebody has finished.
func gone(err error) error {
	if ivd.KindOf(err) == ivd.NotFound {
		return nil
	}
	return err
}

// describe counts what a list names.
func (c *Collector) describe(ctx context.Context, id string) (List, error) {
	l := List{ID: id, Waiting: []format.WaitedLease{}}
	err := c.r.CondemnedParts(ctx, id, func(p format.Condemned) error {
		l.Named.Packs += int64(len(p.Packs))
		l.Named.Points += int64(len(p.Points))
		l.Named.Writers += int64(len(p.Writers))
		return nil
	})
	return l, err
}

// finish goes through the rest of a published list: it waits (C3), and deletes (C4).
// Known are points whose needs are no part of the list, as this collector has seen
// itself; nil: none are known.
func (c *Collector) finish(ctx context.Context, rep *Report, id string, known *packSet) error {
	shown, err := c.describe(ctx, id)
	if err != nil {
		return gone(err)
	}
	if shown.Waiting, err = c.waits(ctx, id); err != nil {
		return err
	}
	if len(shown.Waiting) == 0 && !c.o.DryRun {
		var ended bool
		if ended, err = c.execute(ctx, rep, id, known); ended {
			now := c.r.Now().UTC()
			shown.Done = &now
		}
	}
	rep.Lists = append(rep.Lists, shown)
	return err
}

// waits returns the leases that a list still waits for (C3): those of the set that was
// stored after the list was published, which are neither gone nor past their deadline.
// What one of them that is over may still have prepared is ended.
func (c *Collector) waits(ctx context.Context, id string) ([]format.WaitedLease, error) {
	stored, err := c.r.ReadWaits(ctx, id)
	if err != nil {
		return nil, err
	}
	if stored == nil {
		if c.o.DryRun {
			return c.standing(ctx)
		}
		w, err := c.r.PutWaits(ctx, id)
		if err != nil {
			return nil, err
		}
		stored = &w
	}
	now, err := c.r.Begins(ctx, repo.Collecting)
	if err != nil {
		return nil, err
	}
	left := []format.WaitedLease{}
	for _, l := range stored.Leases {
		stands, err := c.stands(ctx, l, now)
		if err != nil {
			return nil, err
		}
		if stands {
			left = append(left, l)
			continue
		}
		if !c.o.DryRun {
			if err := c.r.Store().Revoke(ctx, l.ID); err != nil {
				return nil, err
			}
		}
	}
	return left, nil
}

// stands reports whether a lease is there and not past its deadline.
func (c *Collector) stands(ctx context.Context, l format.WaitedLease, now time.Time) (bool, error) {
	if !now.Before(l.Deadline) {
		return false, nil
	}
	_, err := c.r.Store().Stat(ctx, c.r.LeaseName(l.ID))
	if ivd.KindOf(err) == ivd.NotFound { // G2
		return false, nil
	}
	return err == nil, err
}

// standing are the leases that a list would wait for.
func (c *Collector) standing(ctx context.Context) ([]format.WaitedLease, error) {
	left := []format.WaitedLease{}
	for l, err := range c.r.Leases(ctx) {
		if err != nil {
			return nil, err
		}
		if c.r.Now().Before(l.Deadline) {
			left = append(left, format.WaitedLease{ID: l.ID, Kind: l.Kind, Owner: l.Owner, Deadline: l.Deadline})
		}
	}
	return left, nil
}

// errStopped ends the work on a list that is somebody's, or done for long enough.
var errStopped = errors.New("the list is done")
