package catalogue

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"ivdmover/shared/ivd"
)

// latest is the moment of a disk's newest point.
const latest = "latest"

// localTimes are how people write a moment without saying where on earth.
var localTimes = []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05"}

// Localize adds the offset of a place to a moment in a text that has none: it is
// said by who knows where the caller is.
func Localize(text string, place *time.Location) string {
	i := strings.LastIndexByte(text, '@')
	if i < 0 {
		return text
	}
	for _, layout := range localTimes {
		if t, err := time.ParseInLocation(layout, text[i+1:], place); err == nil {
			return text[:i+1] + t.UTC().Format(time.RFC3339)
		}
	}
	return text
}

var shortID = regexp.MustCompile(`^[0-9a-f]{4,64}$`)

// Resolve finds the point that a text means: its long name; the beginning of its
// short id; or NAME@latest and NAME@<RFC 3339>, the newest not after that moment, of
// the disk of that name or id. Kind NotFound: there is none. Kind Invalid: the text
// means nothing, or too much.
func Resolve(points []Point, text string) (ivd.PointID, error) {
	if id, err := ivd.ParsePointID(text); err == nil {
		return id, nil
	}
	if i := strings.LastIndexByte(text, '@'); i > 0 {
		return resolveMoment(points, text[:i], text[i+1:])
	}
	if !shortID.MatchString(text) {
		return "", &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("%q is no restore point", text), Remedy: "give an id as `ivd points` lists it, or NAME@latest"}
	}
	var found []ivd.PointID
	for _, p := range points {
		if strings.HasPrefix(sum(p.ID), text) {
			found = append(found, p.ID)
		}
	}
	switch len(found) {
	case 0:
		return "", &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no restore point %s", text), Remedy: "`ivd points` lists them"}
	case 1:
		return found[0], nil
	}
	return "", &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("%d restore points begin with %s: %s", len(found), text, join(Shorts(found))), Remedy: "give more digits"}
}

func resolveMoment(points []Point, name, text string) (ivd.PointID, error) {
	before := time.Time{} // any
	if text != latest {
		var err error
		if before, err = moment(text); err != nil {
			return "", &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("%q is no moment", text), Remedy: "write NAME@latest, or NAME@2026-11-25T22:00:00Z"}
		}
	}
	disk, err := diskNamed(points, name)
	if err != nil {
		return "", err
	}
	var best Point
	for _, p := range points {
		if !p.Offered() || diskOf(p.ID) != disk || !before.IsZero() && when(p).After(before) {
			continue
		}
		if best.ID == "" || compare(p, best) > 0 {
			best = p
		}
	}
	if best.ID == "" {
		return "", &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("disk %s has no restore point at or before %s", name, text), Remedy: "`ivd points` lists them"}
	}
	return best.ID, nil
}

// moment reads RFC 3339, with or without seconds.
func moment(text string) (time.Time, error) {
	if t, err := time.Parse("2006-01-02T15:04Z07:00", text); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, text)
}

// compare orders the points of a disk by time, and those of one moment by name.
func compare(a, b Point) int {
	return cmp.Or(when(a).Compare(when(b)), cmp.Compare(a.ID, b.ID))
}

func when(p Point) time.Time {
	at, _ := p.Moment()
	return at
}

// DiskNamed is the id of the one disk that has an id or a name, among those that have
// points.
func (c *Catalogue) DiskNamed(ctx context.Context, name string) (ivd.DiskID, error) {
	points, err := c.Points(ctx, "")
	if err != nil {
		return "", err
	}
	return DiskNamed(points, name)
}

// DiskNamed is the one of the disks of some points that has a name, or the id, which
// disks of several vCenters may have.
func DiskNamed(points []Point, name string) (ivd.DiskID, error) {
	for _, p := range points {
		if id := diskOf(p.ID).ID; strings.EqualFold(string(id), name) {
			return id, nil
		}
	}
	d, err := diskNamed(points, name)
	return d.ID, err
}

// diskNamed is the one disk that has a name or an id. Disks that are called so by their
// newest point come before those that were called so once.
func diskNamed(points []Point, name string) (Disk, error) {
	newest := map[Disk]Point{}
	once := map[Disk]bool{}
	byID := map[Disk]bool{}
	for _, p := range points {
		k := diskOf(p.ID)
		if last, ok := newest[k]; p.Offered() && (!ok || compare(p, last) > 0) {
			newest[k] = p
		}
		once[k] = once[k] || p.Offered() && p.Name == name
		byID[k] = byID[k] || string(k.ID) == strings.ToLower(name)
	}
	now := map[Disk]bool{}
	for k, p := range newest {
		now[k] = p.Name == name
	}
	for _, meant := range []map[Disk]bool{byID, now, once} {
		var found []string
		var key Disk
		for k, is := range meant {
			if is {
				key = k
				found = append(found, fmt.Sprintf("%s of %s", k.ID, k.Source))
			}
		}
		if len(found) == 1 {
			return key, nil
		}
		if len(found) > 1 {
			slices.Sort(found)
			return key, &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("%d disks are called %s: %s", len(found), name, join(found)), Remedy: "give the disk's id instead of its name, or a point's id"}
		}
	}
	return Disk{}, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no restore point is of a disk called %s", name), Remedy: "`ivd points` lists them"}
}

// shown bounds how many of many are named in a message.
const shown = 5

func join(list []string) string {
	if len(list) > shown {
		return strings.Join(list[:shown], ", ") + ", …"
	}
	return strings.Join(list, ", ")
}
