package ivd

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// PointID names a restore point: "<domain>/<source>/<disk>/<time>-<run>". It is the
// object's name below points/, so that a successor of a run writes the same one. A
// partial point's ends in ".p<k>".
type PointID string

const pointTime = "20060102T150405Z"

var pointName = regexp.MustCompile(`^([0-9]{8}T[0-9]{6}Z)-([0-9a-z-]{1,64})(?:\.p([1-9][0-9]{0,5}))?$`)

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
	parts := strings.Split(s, "/")
	if len(parts) == 4 {
		domain, err := uuid.Parse(parts[0])
		m := pointName.FindStringSubmatch(parts[3])
		if err == nil && domain.String() == parts[0] && isName(parts[1]) && isName(parts[2]) && m != nil {
			if _, err := time.Parse(pointTime, m[1]); err == nil {
				return PointID(s), nil
			}
		}
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
	parts := strings.Split(string(p), "/")
	if i >= len(parts) {
		return ""
	}
	return parts[i]
}
