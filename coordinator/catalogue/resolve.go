package catalogue

import (
	"cmp"
	"fmt"
	"regexp"
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
// the disk of that name or id. Kind NotFound: there is none. Kind Unmet: it means
// several. Kind Invalid: it means nothing, whatever points there are.
func Resolve(points []Point, text string, label Label) (ivd.PointID, error) {
	if id, err := ivd.ParsePointID(text); err == nil {
		return id, nil
	}
	if i := strings.LastIndexByte(text, '@'); i > 0 {
		return resolveMoment(points, text[:i], text[i+1:], label)
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
	return "", &ivd.Error{Kind: ivd.Unmet, Err: fmt.Errorf("%d restore points begin with %s: %s", len(found), text, join(Shorts(found))), Remedy: "give more digits"}
}

func resolveMoment(points []Point, name, text string, label Label) (ivd.PointID, error) {
	before := time.Time{} // any
	if text != latest {
		var err error
		if before, err = moment(text); err != nil {
			return "", &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("%q is no moment", text), Remedy: "write NAME@latest, or NAME@2026-11-25T22:00:00Z"}
		}
	}
	disk, err := diskNamed(points, name, label)
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

// shown bounds how many of many are named in a message.
const shown = 5

func join(list []string) string {
	if len(list) > shown {
		return strings.Join(list[:shown], ", ") + ", …"
	}
	return strings.Join(list, ", ")
}
