package collect

import (
	"context"
	"slices"

	"ivdmover/coordinator/retain"
	"ivdmover/shared/ivd"
)

// judging is what decides which points of a disk go.
type judging struct {
	candidate   func(ivd.PointID) bool   // it was given up, and is to go
	kept        func(ivd.PointID) string // by what a person keeps it; empty: by nothing
	listed      map[ivd.PointID]bool     // on other lists on which somebody may still work: likely to go
	late        map[ivd.PointID]bool     // of these, those that were spared, as far as is known
	leave       bool                     // those that are listed are left to the other lists
	bad         func(ivd.PackID) bool    // packs that make a point no good one
	quarantined func(ivd.PointID) bool   // it cannot be read, and a person has taken it out of collections
	proven      func(ivd.PackID) bool    // packs that make it a better one; nil: none is
	known       func(ivd.PointID) bool   // points whose needs are told already; nil: none

	root func(ivd.PointID) // is told of points that stay, once their needs are told
	tell func(ivd.PackRef) // is told of the needs of points that stay
}

// judge returns the points of a disk that go, and those that were given up and stay: what
// a person keeps, and the disk's last good point (P1), as retain has it.
func (c *Collector) judge(ctx context.Context, d disk, j judging) ([]ivd.PointID, []KeptPoint, error) {
	goes, stay, stays := j.sort(d)
	r := c.reader(j.bad, j.proven)
	var points []retain.Point // those that may be the last good one; that are listed may go
	for _, id := range stay {
		if j.known != nil && len(goes) == 0 && j.known(id) { // else damage may have been found since
			continue
		}
		there, of, err := r.read(ctx, id, j.tell)
		if err != nil {
			return nil, nil, err
		}
		if there && j.root != nil {
			j.root(id)
		}
		if there && !j.listed[id] {
			points = append(points, retain.Point{ID: id, At: id.Time(), Partial: partial(id), Known: of})
		}
	}
	if len(goes) == 0 || slices.ContainsFunc(points, func(p retain.Point) bool { return !p.Partial && p.Known == r.most() }) {
		return goes, stays, nil
	}
	going, err := c.going(ctx, goes, j)
	if err != nil {
		return nil, nil, err
	}
	id := retain.LastGood(append(points, going...))
	i := slices.Index(goes, id)
	if i < 0 {
		return goes, stays, nil
	}
	if _, _, err := r.read(ctx, id, j.tell); err != nil {
		return nil, nil, err
	}
	if j.root != nil {
		j.root(id)
	}
	return slices.Delete(goes, i, i+1), append(stays, KeptPoint{id, "it is the disk's last good point"}), nil
}

// sort sorts a disk's points by what was said of them: those that go, those that stay, and
// of these the ones that were given up and are kept.
func (j judging) sort(d disk) (goes, stay []ivd.PointID, stays []KeptPoint) {
	for _, id := range d {
		switch {
		case j.quarantined(id) && (!j.candidate(id) || j.kept(id) != ""):
			stays = append(stays, KeptPoint{id, "it is quarantined: nothing is kept for it"})
		case !j.candidate(id):
			stay = append(stay, id)
		case j.kept(id) != "":
			stay = append(stay, id)
			stays = append(stays, KeptPoint{id, j.kept(id)})
		case !j.leave || !j.listed[id]:
			goes = append(goes, id)
		case j.late[id]:
			stay = append(stay, id)
		}
	}
	return goes, stay, stays
}

// going are the points that are to go, with what is known of them, the newest first, until
// there is one of which all is known.
func (c *Collector) going(ctx context.Context, ids []ivd.PointID, j judging) (points []retain.Point, err error) {
	r := c.reader(j.bad, j.proven)
	for _, id := range slices.Backward(ids) {
		if partial(id) {
			continue
		}
		there, of, err := r.read(ctx, id, func(ivd.PackRef) {})
		switch kind := ivd.KindOf(err); {
		case kind == ivd.Corrupt, kind == ivd.Unsupported, kind == ivd.NotFound:
			continue // it was given up, and cannot be read: it is no good one
		case err != nil:
			return nil, err
		case there:
			points = append(points, retain.Point{ID: id, At: id.Time(), Known: of, Forgotten: true})
		}
		if there && of == r.most() {
			break
		}
	}
	return points, nil
}

func partial(id ivd.PointID) bool {
	_, is := id.Partial()
	return is
}
