package examine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
)

// named is the disk that somebody means: by its id, by a name that no other disk
// has, or else by the beginning of an id that no other disk's has; each may have its
// vCenter's name and a slash before it.
func (r *Room) named(ctx context.Context, text string) (*inventory.VCenter, inventory.Disk, error) {
	sources := r.Sources
	if name, rest, ok := strings.Cut(text, "/"); ok {
		if v, err := sources.Named(name); err == nil {
			sources, text = inventory.Sources{v.Source(): v}, rest
		}
	}
	var m meant
	for _, source := range slices.Sorted(maps.Keys(sources)) {
		m.lookIn(ctx, sources[source], text)
	}
	found := m.named
	if len(found) == 0 {
		found = m.begun
	}
	switch {
	case len(found) == 1:
		d := found[0]
		v, err := r.Sources.Of(d.Ref.Source())
		return v, d, err
	case len(found) > 1 && found[0].Ref.ID() == found[1].Ref.ID():
		return nil, inventory.Disk{}, &ivd.Error{
			Kind: ivd.Invalid, Err: fmt.Errorf("disk %s is in the vCenters %s and %s: an array has copied it", found[0].Ref.ID(), r.Sources[found[0].Ref.Source()].Name(), r.Sources[found[1].Ref.Source()].Name()),
			Remedy: "give it as VCENTER/ID",
		}
	case len(found) > 1:
		return nil, inventory.Disk{}, &ivd.Error{
			Kind: ivd.Invalid, Err: fmt.Errorf("%d disks are meant by %q, such as %s and %s", len(found), text, found[0].Ref.ID(), found[1].Ref.ID()),
			Remedy: "give the whole id, as `ivd disks` lists it",
		}
	case len(m.ours) > 0:
		return nil, inventory.Disk{}, m.ours[0]
	case len(m.unknown) > 0:
		return nil, inventory.Disk{}, fmt.Errorf("look for disk %s: %w", text, errors.Join(m.unknown...))
	}
	return nil, inventory.Disk{}, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no disk %s on any datastore", text), Remedy: "`ivd disks` lists them"}
}

// meant are the disks that a text may mean, and why others may be missing.
type meant struct {
	named, begun []inventory.Disk // by its whole id or name; by the beginning of its id
	unknown      []error
	ours         []error // of those that restores make: they are not the estate's
}

func (m *meant) lookIn(ctx context.Context, v *inventory.VCenter, text string) {
	id := ivd.DiskID(strings.ToLower(text))
	if uuid.Validate(text) == nil {
		d, err := v.Find(ctx, id)
		if err == nil {
			m.take(&m.named, d)
		} else if ivd.KindOf(err) != ivd.NotFound {
			m.unknown = append(m.unknown, err)
		}
		return
	}
	if text == "" {
		return
	}
	for d, err := range v.Disks(ctx) {
		switch {
		case err != nil:
			m.unknown = append(m.unknown, err)
		case d.Name == text:
			m.take(&m.named, d)
		case strings.HasPrefix(string(d.Ref.ID()), string(id)):
			m.take(&m.begun, d)
		}
	}
}

func (m *meant) take(to *[]inventory.Disk, d inventory.Disk) {
	if err := d.Estate(); err != nil {
		m.ours = append(m.ours, err)
		return
	}
	*to = append(*to, d)
}
