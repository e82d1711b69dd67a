package ivd

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// PointID names a restore point: "<domain>/<source>/<disk>/<time>-<run>". It is the
// object's name below points/, so that a successor of a run writes the same one. A
// partial point's ends in ".p<k>".
type PointID string

const pointTime = "20060102T150405Z"

// isPointName reports whether a text is <time>-<run>, with the number of a part behind
// it or not. Long lists of points ask it: a pattern would take most of their time.
func isPointName(s string) bool {
	at, run, found := strings.Cut(s, "-")
	if !found || len(at) != len("20060102T150405Z") {
		return false
	}
	if _, err := time.Parse(pointTime, at); err != nil {
		return false
	}
	run, part, partial := strings.Cut(run, ".p")
	if partial && (part == "" || len(part) > 6 || part[0] == '0' || strings.Trim(part, "0123456789") != "") {
		return false
	}
	if run == "" || len(run) > 64 {
		return false
	}
	for _, c := range []byte(run) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return true
}

// isDomain reports whether a text is a domain as names have it.
func isDomain(s string) bool {
	for i, c := range []byte(s) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return len(s) == 36
}

// NewPointID composes a point's name from what the run has stored. At is the run's
// beginning, by the store's clock.
func NewPointID(domain DomainID, source SourceID, disk DiskID, at time.Time, run RunID) PointID {
	return PointID(PointFolder(domain, source, disk) + at.UTC().Format(pointTime) + "-" + string(run))
}

// PointFolder is what the names of all points of a disk begin with.
func PointFolder(domain DomainID, source SourceID, disk DiskID) string {
	return domain.String() + "/" + string(source) + "/" + string(disk) + "/"
}

// ParsePointID refuses what NewPointID and Part cannot have made.
func ParsePointID(s string) (PointID, error) {
	p := PointID(s)
	if strings.Count(s, "/") == 3 && isDomain(p.part(0)) && isName(p.part(1)) && isName(p.part(2)) && isPointName(p.part(3)) {
		return p, nil
	}
	return "", &Error{Kind: Invalid, Op: fmt.Sprintf("restore point %q", s), Err: fmt.Errorf("not <domain>/<source>/<disk>/<time>-<run>"), Remedy: "give an id as `ivd points` lists it"}
}

// Part is the name of the k-th partial point on the way to this one, from 1.
func (p PointID) Part(k int) PointID { return p + PointID(".p"+strconv.Itoa(k)) }

// Domain is the domain that the point is of.
func (p PointID) Domain() (d DomainID) {
	_ = d.UnmarshalText([]byte(p.part(0))) // zero where it is no point's name
	return d
}

// Source is where the disk lived.
func (p PointID) Source() SourceID { return SourceID(p.part(1)) }

// Disk is the disk that the point is a backup of.
func (p PointID) Disk() DiskID { return DiskID(p.part(2)) }

// Time is the beginning of the point's run, to the second; zero where it is no
// point's name.
func (p PointID) Time() time.Time {
	stamp, _, _ := strings.Cut(p.part(3), "-")
	t, err := time.Parse(pointTime, stamp)
	if err != nil {
		return time.Time{}
	}
	return t
}

// Run is the run that made the point.
func (p PointID) Run() RunID {
	_, run, _ := strings.Cut(p.part(3), "-")
	run, _, _ = strings.Cut(run, ".")
	return RunID(run)
}

// Partial reports whether only a part of the disk's spans is done, and as which
// part of its run. Such a point is not offered for restore.
func (p PointID) Partial() (k int, partial bool) {
	_, n, found := strings.Cut(p.part(3), ".p")
	k, err := strconv.Atoi(n)
	return k, found && err == nil
}

func (p PointID) part(i int) string {
	rest := string(p)
	for ; i > 0; i-- {
		_, after, found := strings.Cut(rest, "/")
		if !found {
			return ""
		}
		rest = after
	}
	part, _, _ := strings.Cut(rest, "/")
	return part
}
