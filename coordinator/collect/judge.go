package collect

import (
	"context"
	"slices"

	"ivdmover/shared/ivd"
)

// judging is what decides which points of a disk go.
type judging struct {
	candidate func(ivd.PointID) bool   // it was given up, and is to go
	kept      func(ivd.PointID) string // by what a person keeps it; empty: by nothing
	listed    map[ivd.PointID]bool     // on other lists on which somebody may still work: likely to go
	late      map[ivd.PointID]bool     // of these, those that were spared, as far as is known
	leave     bool                     // those that are listed are left to the other lists
	bad       func(ivd.PackID) bool    // packs that make a point no good one
	known     func(ivd.PointID) bool   // points whose needs are told already; nil: none

	root func(ivd.PointID) // is told of points that stay, once their needs are told
	tell func(ivd.PackRef) // is told of the needs of points that stay
}

// judge returns the points of a disk that go, and those that were given up and stay: what
// a person keeps, and the disk's last good point (P1).
func (c *Collector) judge(ctx context.Context, d disk, j judging) ([]ivd.PointID, []KeptPoint, error) {
	goes, stay, stays := j.sort(d)
	r := c.reader(j.bad)
	last, whole := false, false // a good point stays that no other list names; one that is good or damaged
	for _, id := range stay {
		var err error
		there, bad := true, false
		if j.known == nil || len(goes) > 0 || !j.known(id) { // damage may have been found since
			if there, bad, err = r.read(ctx, id, j.tell); err != nil {
				return nil, nil, err
			}
		}
		if there && j.root != nil {
			j.root(id)
		}
		if there && !partial(id) && !j.listed[id] {
			whole, last = true, last || !bad
		}
	}
	if last || len(goes) == 0 {
		return goes, stays, nil
	}
	i, err := c.lastGood(ctx, goes, j, !whole)
	if err != nil || i < 0 {
		return goes, stays, err
	}
	id := goes[i]
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

// lastGood is the newest of the points that is good or, where none is and a damaged one
// does, that is not partial; below zero where there is none.
func (c *Collector) lastGood(ctx context.Context, points []ivd.PointID, j judging, damaged bool) (int, error) {
	whole := -1
	r := c.reader(j.bad)
	for i, id := range slices.Backward(points) {
		if partial(id) {
			continue
		}
		there, bad, err := r.read(ctx, id, func(ivd.PackRef) {})
		switch kind := ivd.KindOf(err); {
		case kind == ivd.Corrupt, kind == ivd.Unsupported, kind == ivd.NotFound:
			continue // it was given up, and cannot be read: it is no good one
		case err != nil:
			return -1, err
		case there && !bad:
			return i, nil
		case there && damaged && whole < 0:
			whole = i
		}
	}
	return whole, nil
}

func partial(id ivd.PointID) bool {
	_, is := id.Partial()
	return is
}
