// Package retain decides which restore points of a disk stay, and says why.
//
// It is pure: no I/O, no clock. Rules are counted as restic counts them: "daily 14" is
// the newest point of each of the last 14 days that have one, however long ago that is;
// what one rule keeps, another one counts too; a rule with counts left over keeps the
// oldest point. Days, weeks (ISO's) and the others are those of the policy's time zone.
// The last good point of a disk stays whatever the rules say, and so do points that
// are pinned or held, and those that cannot be read (COLLECT.md, P1). Partial points
// have a rule of their own. It promises that what stays is the same when it is asked
// again without what went, and no less under rules that keep more.
package retain

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"ivdmover/shared/ivd"
)

// Known is what is known of a whole point's content, the more the better.
type Known int

// What can be known. The last good point of a disk is the newest of those of which most
// is known.
const (
	Unreadable Known = iota // the point itself cannot be read
	Damaged                 // some of it is missing or wrong
	Checked                 // its structure was checked when it was committed, and nothing is known to be wrong
	Proven                  // besides, every frame of its packs was opened
)

// Point is a restore point as far as it matters here.
type Point struct {
	ID        ivd.PointID
	At        time.Time // by which it is ordered
	Policy    string    // that made it
	Partial   bool      // only a part of the disk is done
	Known     Known
	Forgotten bool   // a record says that it was given up
	Kept      string // by what it stays whatever the rules say: "pinned"; empty: by nothing
}

// Verdict is what becomes of a point.
type Verdict struct {
	Point
	Stays   bool
	Reasons []string // by what it stays, each; or the one why it goes
}

// lastGood is why the last good point of a disk stays.
const lastGood = "the last good point of its disk"

// order sorts points, the newest first.
func order(points []Point) []Point {
	return slices.SortedFunc(slices.Values(points), func(a, b Point) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID))
	})
}

// givenUp reports whether a record says that a point was given up, and nothing that it
// stays all the same.
func (p Point) givenUp() bool { return p.Forgotten && p.Kept == "" }

// good reports whether a point may be the last good one of its disk.
func (p Point) good() bool { return !p.Partial && p.Known > Unreadable }

// LastGood is the last good point of a disk, which stays whatever the rules say: of the
// points of which most is known, the newest; empty: none of them can be read whole. Where
// several coordinators have given points up at once, so that no other one of that worth is
// left, it is one that was given up.
func LastGood(points []Point) ivd.PointID { return guarded(order(points)) }

// guarded is LastGood of points that are in order.
func guarded(sorted []Point) (id ivd.PointID) {
	var best Point
	for _, p := range sorted {
		if p.good() && (best.ID == "" || p.Known > best.Known || p.Known == best.Known && best.givenUp() && !p.givenUp()) {
			best = p
		}
	}
	return best.ID
}

// Standing are the points of a disk that have not been given up: those without a record
// that says so, those that stay whatever it says, and the last good one. The others are
// no longer shown, built on or counted, and a collection deletes them.
func Standing(points []Point) []Point {
	sorted := order(points)
	last := guarded(sorted)
	return slices.DeleteFunc(sorted, func(p Point) bool { return p.givenUp() && p.ID != last })
}

// Decide says of the standing points of a disk, the newest first, which stay under the
// rules of the policy. Points of other policies stay.
func Decide(points []Point, policy string, r Rules) []Verdict {
	standing := Standing(points)
	last := guarded(standing)
	verdicts := make([]Verdict, len(standing))
	var counted []*Verdict
	for i, p := range standing {
		v := &verdicts[i]
		v.Point = p
		v.stay(p.Kept)
		switch {
		case p.Policy != policy:
			v.stay("of another policy")
			if p.Policy == "" {
				v.Reasons[len(v.Reasons)-1] = "of no policy"
			}
		case p.Known == Unreadable:
			v.stay("it cannot be read")
		case r.Empty():
			v.stay("its policy keeps every point")
		case p.Partial:
			v.partial(standing)
		case !p.givenUp(): // else it is only the last good one
			counted = append(counted, v)
		}
	}
	r.count(counted)
	for i := range verdicts {
		v := &verdicts[i]
		if v.ID == last {
			v.stay(lastGood)
		}
		if !v.Stays && len(v.Reasons) == 0 {
			v.Reasons = []string{fmt.Sprintf("policy %s keeps it by none of its rules", policy)}
		}
	}
	return verdicts
}

// Ask says of some of a disk's points, which a person wants to give up, whether they can
// be. Points that are not standing are left out.
func Ask(points []Point, chosen map[ivd.PointID]bool) []Verdict {
	standing := Standing(points)
	last := guarded(standing)
	var verdicts []Verdict
	for _, p := range standing {
		if !chosen[p.ID] {
			continue
		}
		v := Verdict{Point: p}
		v.stay(p.Kept)
		if p.Known == Unreadable {
			v.stay("it cannot be read")
		}
		if p.ID == last {
			v.stay(lastGood)
		}
		if !v.Stays {
			v.Reasons = []string{"asked for"}
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// stay keeps the point, for a reason if there is one.
func (v *Verdict) stay(reason string) {
	if reason != "" {
		v.Stays, v.Reasons = true, append(v.Reasons, reason)
	}
}

// partial keeps the newest partial point as long as no whole one has come after it:
// the next backup goes on where it ends. What came before is in it.
func (v *Verdict) partial(standing []Point) {
	for _, p := range standing { // the newest first
		why := ""
		switch {
		case p.ID == v.ID:
			v.stay("the newest partial point, and no whole one came after it")
			return
		case p.Partial && p.Policy == v.Policy && p.Known > Unreadable:
			why = "a later partial point goes on from it"
		case !p.Partial && p.Known > Damaged:
			why = "a whole point came after it"
		}
		if why != "" {
			if !v.Stays { // by a pin or a hold
				v.Reasons = []string{why}
			}
			return
		}
	}
}
