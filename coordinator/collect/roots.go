package collect

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"ivdmover/coordinator/news"
	"ivdmover/coordinator/retain"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// atOnce is how many disks' points are read at once: a page takes up to 32 MiB.
const atOnce = 4

// disk are the points of a disk, in the order of their runs.
type disk []ivd.PointID

// disks lists all points, disk by disk. An object among them that is none is an error:
// what it names is not known (C1).
func (c *Collector) disks(ctx context.Context) ([]disk, error) {
	groups := map[string]disk{}
	for p, err := range c.r.Points(ctx, pointsOfAll) {
		switch {
		case err != nil:
			return nil, err
		case p.Unknown != nil && foreign(p.ID, c.r.Domain()):
			continue
		case p.Unknown != nil:
			return nil, fmt.Errorf("points/%s: %w", p.ID, p.Unknown)
		}
		folder := ivd.PointFolder(p.ID.Domain(), p.ID.Source(), p.ID.Disk())
		groups[folder] = append(groups[folder], p.ID)
	}
	all := make([]disk, 0, len(groups))
	for _, d := range groups {
		slices.Sort(d)
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b disk) int { return strings.Compare(string(a[0]), string(b[0])) })
	return all, nil
}

// foreign reports whether a point is another domain's, whose packs are none of this one.
func foreign(id ivd.PointID, own ivd.DomainID) bool {
	p, err := ivd.ParsePointID(string(id))
	return err == nil && p.Domain() != own
}

// each runs f for every disk, several at once.
func each(ctx context.Context, all []disk, f func(context.Context, disk) error) error {
	var n atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, d := range all {
		g.Go(func() error {
			news.Tell(ctx, "read the restore points of %d of %d disks", n.Add(1)-1, len(all))
			return f(gctx, d)
		})
	}
	return g.Wait()
}

// reader reads the points of one disk, and each page of them once: it is used by one
// goroutine. What it has read of a page it has told already.
type reader struct {
	c      *Collector
	pages  map[ivd.Place]retain.Known // what is known of its packs
	bad    func(ivd.PackID) bool
	proven func(ivd.PackID) bool // of data packs; nil: none is
}

func (c *Collector) reader(bad, proven func(ivd.PackID) bool) *reader {
	return &reader{c: c, pages: map[ivd.Place]retain.Known{}, bad: bad, proven: proven}
}

// read tells of every pack in the pack set of a point, and reports whether the point is
// there, and what is known of its packs.
func (d *reader) read(ctx context.Context, id ivd.PointID, tell func(ivd.PackRef)) (there bool, of retain.Known, err error) {
	p, _, err := d.c.r.ReadPoint(ctx, id)
	switch ivd.KindOf(err) {
	case ivd.NotFound: // deleted since it was listed
		return false, of, nil
	case ivd.Corrupt, ivd.Unsupported:
		return false, of, unreadable(err)
	}
	if err != nil {
		return false, of, err
	}
	of = d.most()
	for _, ref := range p.Pages {
		ofPage, read := d.pages[ref.Place]
		if !read {
			page, err := d.c.r.Page(ctx, ref, p.Geometry)
			if err != nil {
				there, err = d.noPage(ctx, id, err)
				return there, of, err
			}
			ofPage = d.tell(page, ref, tell)
			d.pages[ref.Place] = ofPage
		}
		of = min(of, ofPage)
	}
	return true, of, nil
}

// most is the most that can be known of a point.
func (d *reader) most() retain.Known {
	if d.proven == nil {
		return retain.Checked
	}
	return retain.Proven
}

// tell tells of what a page needs, and returns what is known of it.
func (d *reader) tell(page *format.Page, ref ivd.PageRef, tell func(ivd.PackRef)) retain.Known {
	of := d.most()
	kinds := page.Kinds(ref)
	for _, pack := range append(page.Packs[:len(page.Packs):len(page.Packs)], ref.Place.PackRef) {
		tell(pack)
		switch {
		case d.bad(pack.Pack):
			of = retain.Damaged
		case of == retain.Proven && kinds[pack.Pack] == format.DataPack && !d.proven(pack.Pack):
			of = retain.Checked
		}
	}
	return of
}

// noPage is a page that is gone or cannot be read: that is no reason to stop where its
// point is gone, too, by another collector.
func (d *reader) noPage(ctx context.Context, id ivd.PointID, why error) (there bool, err error) {
	switch ivd.KindOf(why) {
	case ivd.NotFound, ivd.Corrupt, ivd.Unsupported:
	default:
		return false, why
	}
	_, _, err = d.c.r.ReadPoint(ctx, id)
	if ivd.KindOf(err) == ivd.NotFound {
		return false, nil
	}
	return false, unreadable(fmt.Errorf("restore point %s: %w", id, why))
}

// unreadable stops a collection: what the point names is not known.
func unreadable(err error) error {
	return &ivd.Error{
		Kind: ivd.KindOf(err), Err: err,
		Remedy: "put the object back as it was stored; where it is lost for good, `ivd repo quarantine` takes the restore point out of collections",
	}
}

// retired are the packs that make a point no good one. A list of them that cannot be read
// stops a collection: which point is a disk's last good one is not known then.
func (c *Collector) retired(ctx context.Context) (*repo.Retired, error) {
	x, err := c.r.Retired(ctx)
	if err == nil && len(x.Ignored) > 0 {
		return nil, &ivd.Error{
			Kind: ivd.Unmet, Err: fmt.Errorf("%s cannot be read, so that a point which is damaged may count as a disk's last good one", x.Ignored[0]),
			Remedy: "put the object back as it was stored, or collect with the release of ivd that wrote it",
		}
	}
	return x, err
}

// prove takes note in a set of the packs that are proven, and reports what tells of them;
// nil: there are none. A list that cannot be read proves nothing.
func (c *Collector) prove(ctx context.Context, packs *packSet) (func(ivd.PackID) bool, error) {
	names, err := c.r.VerifiedLists(ctx)
	if err != nil {
		return nil, err
	}
	some := false
	for _, name := range names {
		_, list, err := c.r.Verified(ctx, name)
		switch ivd.KindOf(err) {
		case ivd.NotFound, ivd.Corrupt, ivd.Unsupported, ivd.Denied:
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, id := range list {
			packs.Prove(id)
		}
		some = some || len(list) > 0
	}
	if !some {
		return nil, nil
	}
	return func(id ivd.PackID) bool { return packs.Flagged(id, proven) }, nil
}
