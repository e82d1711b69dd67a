package catalogue

import (
	"context"
	"fmt"
	"slices"

	"ivdmover/coordinator/retain"
	"ivdmover/shared/ivd"
)

// Retained is a point as package retain has it.
func (p Point) Retained() retain.Point {
	at, _ := p.Moment()
	known := retain.Checked
	switch {
	case p.Failure != nil:
		known = retain.Unreadable
	case len(p.Damaged) > 0:
		known = retain.Damaged
	}
	return retain.Point{ID: p.ID, At: at, Policy: p.Policy, Partial: p.Partial, Known: known, Forgotten: p.Beside.Forgotten != nil, Kept: p.Beside.Kept()}
}

// Settle says of points, which are all that their disks have, which of them are given up.
// It is asked again where more is known of their damage.
func Settle(points []Point) {
	disks := map[Disk][]retain.Point{} // of which a point was given up, or may have been
	for i := range points {
		if points[i].GivenUp = false; points[i].Beside.Forgotten != nil {
			disks[diskOf(points[i].ID)] = nil
		}
	}
	if len(disks) == 0 {
		return
	}
	for _, p := range points {
		d := diskOf(p.ID)
		if _, marked := disks[d]; marked {
			disks[d] = append(disks[d], p.Retained())
		}
	}
	stands := map[ivd.PointID]bool{}
	for _, all := range disks {
		for _, p := range retain.Standing(all) {
			stands[p.ID] = true
		}
	}
	for i := range points {
		if _, marked := disks[diskOf(points[i].ID)]; marked {
			points[i].GivenUp = !stands[points[i].ID]
		}
	}
}

// Among finds a point among all of its disk. Kind NotFound: it is not there.
func (c *Catalogue) Among(ctx context.Context, id ivd.PointID) (Point, error) {
	points, err := c.Points(ctx, diskOf(id))
	if err != nil {
		return Point{}, err
	}
	i := slices.IndexFunc(points, func(p Point) bool { return p.ID == id })
	if i < 0 {
		return Point{}, notThere(id)
	}
	return points[i], nil
}

func notThere(id ivd.PointID) error {
	return &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no restore point %s", id), Remedy: "`ivd points` lists them"}
}
