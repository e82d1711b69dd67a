package catalogue

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ivdmover/shared/ivd"
)

// Label is what the configuration calls a source; of one that it does not have, the source
// itself.
type Label func(ivd.SourceID) string

// OfDisk reads the points of the disk that a text names, as the function of that name
// does, or as far as they are told of. Where it is an id, no other disk's are read.
func (c *Catalogue) OfDisk(ctx context.Context, text string, label Label, told bool) ([]Point, error) {
	var of Disk
	if id, err := ivd.ParseDiskID(text[strings.LastIndexByte(text, '/')+1:]); err == nil {
		of.ID = id
	}
	points, err := c.points(ctx, of, told)
	if err != nil {
		return nil, err
	}
	return OfDisk(points, text, label)
}

// OfDisk are those of some points that are of the disk which a text names: by its id, and
// then of each vCenter that has it, or by a name that no other disk has; of one vCenter as
// VCENTER/DISK.
func OfDisk(points []Point, text string, label Label) ([]Point, error) {
	of := func(p Point) bool { return named(diskOf(p.ID), text, label) }
	if !slices.ContainsFunc(points, of) {
		d, err := diskNamed(points, text, label)
		if err != nil {
			return nil, err
		}
		of = func(p Point) bool { return diskOf(p.ID) == d }
	}
	var found []Point
	for _, p := range points {
		if of(p) {
			found = append(found, p)
		}
	}
	return found, nil
}

// within are what a text may name in a source: itself, and what follows the source's name
// or id and a slash.
func within(source ivd.SourceID, text string, label Label) []string {
	all := []string{text}
	for _, called := range []string{label(source), string(source)} {
		if rest, ok := strings.CutPrefix(text, called+"/"); ok {
			all = append(all, rest)
		}
	}
	return all
}

// named reports whether a text is a disk's id.
func named(d Disk, text string, label Label) bool {
	return slices.ContainsFunc(within(d.Source, text, label), func(s string) bool { return strings.EqualFold(s, string(d.ID)) })
}

// diskNamed is the one disk that has a name or an id. Disks that are called so by their
// newest point come before those that were called so once.
func diskNamed(points []Point, text string, label Label) (Disk, error) {
	newest := map[Disk]Point{}
	once := map[Disk]bool{}
	byID := map[Disk]bool{}
	called := func(p Point) bool { return slices.Contains(within(p.ID.Source(), text, label), p.Name) }
	for _, p := range points {
		k := diskOf(p.ID)
		if last, ok := newest[k]; p.Offered() && (!ok || compare(p, last) > 0) {
			newest[k] = p
		}
		once[k] = once[k] || p.Offered() && called(p)
		byID[k] = named(k, text, label)
	}
	now := map[Disk]bool{}
	for k, p := range newest {
		now[k] = called(p)
	}
	for _, meant := range []map[Disk]bool{byID, now, once} {
		var found []string
		var key Disk
		for k, is := range meant {
			if is {
				key = k
				found = append(found, fmt.Sprintf("%s of %s", k.ID, label(k.Source)))
			}
		}
		if len(found) == 1 {
			return key, nil
		}
		if len(found) > 1 {
			slices.Sort(found)
			return key, &ivd.Error{Kind: ivd.Unmet, Err: fmt.Errorf("%d disks are called %s: %s", len(found), text, join(found)), Remedy: "name one as VCENTER/ID, or give a point's id"}
		}
	}
	return Disk{}, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no restore point is of a disk called %s", text), Remedy: "`ivd points` lists them"}
}
