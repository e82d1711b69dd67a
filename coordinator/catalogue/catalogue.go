// Package catalogue tells which restore points there are, and which one somebody
// means: by a short id, by a disk's name and a moment, or by its long name.
//
// What it promises: what exists is asked of the store every time, so that nothing
// that was deleted is shown; points never change, so those that were read once are
// kept in a file, which is deleted and made anew at any doubt about it. One that cannot be read, or is not understood, is shown with its
// failure, so that it hides no other and is not hidden itself. It never guesses: a
// text that means two points, or points of two disks, is refused with their ids.
package catalogue

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

const readAtOnce = 16 // points that are read from the store at once

// Point is a restore point without its pages.
type Point struct {
	ID          ivd.PointID
	Short       string      // its short id
	Disk        ivd.DiskRef // as it was then
	Name        string      // the disk's, at that time
	Datastore   string      // its name, or else its id
	Time        time.Time   // of the snapshot, as vSphere tells it
	SealedAt    time.Time   // by the store's clock
	Protected   time.Time   // until when all that it needs is locked in the store; zero: it is not
	Parent      ivd.PointID // empty: the first of its disk
	Mode        format.ReadMode
	Consistency format.Consistency
	Policy      string
	Partial     bool // only a part of the disk is done
	Geometry    ivd.Geometry
	Stats       ivd.Stats
	Failure     *ivd.Failure // it is there and cannot be read: only what its name says is known

	// What the marks beside it say:
	Beside  repo.Mark
	GivenUp bool // it is no longer shown, and a collection deletes it

	// What Mark says:
	Damaged   []ivd.PackID // packs that it needs and that are retired, in the order of their ids
	Unchecked bool         // whether it needs any is not known

	told bool // it was not read: the record of its run tells of it
}

// Offered reports whether a point is offered for restore. Others are found by their ids
// only.
func (p Point) Offered() bool { return p.Failure == nil && !p.Partial && !p.GivenUp }

// doubtful is how far the snapshot's time may be from the moment at which the point
// was sealed before it is no longer believed.
const doubtful = 24 * time.Hour

// Moment is the time by which a point is found and ordered: the snapshot's, unless
// that is so far from when the point was sealed that vSphere's clock must be wrong.
func (p Point) Moment() (at time.Time, doubted bool) {
	if p.SealedAt.IsZero() || p.Time.Sub(p.SealedAt).Abs() <= doubtful {
		return p.Time, false
	}
	return p.SealedAt, true
}

// Disk names a disk of a source.
type Disk struct {
	Source ivd.SourceID
	ID     ivd.DiskID
}

func diskOf(id ivd.PointID) Disk { return Disk{id.Source(), id.Disk()} }

// Catalogue is the points of one repository. Its methods are safe for concurrent
// use.
type Catalogue struct {
	repo  *repo.Repository
	shelf *shelf

	mu    sync.Mutex
	marks marks // guarded by mu
}

// New returns the catalogue of a repository, which keeps points in memory.
func New(r *repo.Repository) *Catalogue { return Open(r, "", slog.New(slog.DiscardHandler)) }

// Open returns the catalogue of a repository, which keeps points in a file. Whatever is
// wrong with the file is told to the log, and costs only that points are read again. Who
// is done with it must call Close.
func Open(r *repo.Repository, file string, log *slog.Logger) *Catalogue {
	return &Catalogue{repo: r, shelf: &shelf{path: file, log: log}}
}

// Close gives the file up. The catalogue is not used any more.
func (c *Catalogue) Close() { c.shelf.close() }

// list lists the restore points of a disk or of all, in the order of their names, with
// those whose names are not understood.
func (c *Catalogue) list(ctx context.Context, of Disk) ([]repo.PointInfo, error) {
	var points []repo.PointInfo
	for info, err := range c.repo.Points(ctx, repo.PointsOf{Source: of.Source, Disk: of.ID}) {
		if err != nil {
			return nil, err
		}
		points = append(points, info)
	}
	slices.SortFunc(points, func(a, b repo.PointInfo) int { return cmp.Compare(a.ID, b.ID) })
	return points, nil
}

// Last is the newest whole point of each disk, by its name: to read all of them for
// a list of disks would take long.
func (c *Catalogue) Last(ctx context.Context) (map[Disk]ivd.PointID, error) {
	points, err := c.list(ctx, Disk{})
	if err != nil {
		return nil, err
	}
	marks, err := c.repo.Marks(ctx, repo.PointsOf{})
	if err != nil {
		return nil, err
	}
	last, givenUp := map[Disk]ivd.PointID{}, map[Disk]ivd.PointID{}
	for _, p := range points { // in order: the last of a disk stays
		_, partial := p.ID.Partial()
		switch {
		case p.Unknown != nil || partial:
		case marks.Of(p.ID).GivenUp():
			givenUp[diskOf(p.ID)] = p.ID
		default:
			last[diskOf(p.ID)] = p.ID
		}
	}
	for d, id := range givenUp {
		if _, protected := last[d]; !protected { // of a disk all of whose points were given up the last one stays
			last[d] = id
		}
	}
	return last, nil
}

// Points reads the restore points of a disk, or of those of all sources that have its
// id, or of all disks, in the order of their names. Each was read once by who has the
// catalogue's file.
func (c *Catalogue) Points(ctx context.Context, of Disk) ([]Point, error) {
	return c.points(ctx, of, false)
}

// Told are the same as far as the records of runs tell of points: that a point cannot be
// read is not always known. It is for who shows points, and costs much less where many are
// new.
func (c *Catalogue) Told(ctx context.Context, of Disk) ([]Point, error) {
	return c.points(ctx, of, true)
}

func (c *Catalogue) points(ctx context.Context, of Disk, told bool) ([]Point, error) {
	infos, err := c.list(ctx, of)
	if err != nil {
		return nil, err
	}
	marks, err := c.repo.Marks(ctx, repo.PointsOf{Source: of.Source, Disk: of.ID})
	if err != nil {
		return nil, err
	}
	points, err := c.load(ctx, of, infos, told)
	if err != nil {
		return nil, err
	}
	ids := make([]ivd.PointID, len(points))
	for i, p := range points {
		ids[i] = p.ID
	}
	for i, short := range Shorts(ids) {
		points[i].Short, points[i].Beside = short, marks.Of(points[i].ID)
	}
	Settle(points)
	return points, nil
}

// Resolve finds the point that a text means, as the function of that name does. Where
// a point could not be read that may be meant by a disk's name, none is chosen.
func (c *Catalogue) Resolve(ctx context.Context, text string, label Label) (ivd.PointID, error) {
	if id, err := ivd.ParsePointID(text); err == nil {
		return id, nil // nobody needs to be asked
	}
	points, err := c.Told(ctx, Disk{})
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(points, func(p Point) bool { return p.Failure != nil && p.Failure.Kind.Retry() })
	if i >= 0 && strings.Contains(text, "@") {
		return "", fmt.Errorf("look for %q among all restore points: %w", text, points[i].Failure.Err())
	}
	return Resolve(points, text, label)
}

// Point reads one restore point.
func (c *Catalogue) Point(ctx context.Context, id ivd.PointID) (Point, error) {
	state := c.state()
	var known Point
	c.shelf.get(state, diskOf(id), func(p Point) {
		if p.ID == id && !p.told {
			known = p
		}
	})
	if known.ID == "" {
		p, err := c.readPoint(ctx, id)
		if err != nil {
			return Point{}, err
		}
		known = p
	}
	known.Short = Short(id)
	return known, nil
}
