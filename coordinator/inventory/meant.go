package inventory

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"ivdmover/shared/ivd"
)

// Meant is the disk that somebody means: by its id, by a name that no other disk
// has, or else by the beginning of an id that no other disk's has; each may have its
// vCenter's name and a slash before it.
func (s *Sources) Meant(ctx context.Context, text string) (*VCenter, Disk, error) {
	sources, text, err := s.In(text)
	if err != nil {
		return nil, Disk{}, err
	}
	var m meant
	for _, v := range sources.All() {
		m.lookIn(ctx, v, text)
	}
	for _, a := range sources.Away() {
		m.unknown = append(m.unknown, a.Err)
	}
	found := m.named
	if len(found) == 0 {
		found = m.begun
	}
	switch {
	case len(found) == 1:
		d := found[0]
		v, err := s.Of(d.Ref.Source())
		return v, d, err
	case len(found) > 1 && found[0].Ref.ID() == found[1].Ref.ID():
		return nil, Disk{}, &ivd.Error{
			Kind: ivd.Unmet, Err: fmt.Errorf("disk %s is in the vCenters %s and %s: an array has copied it", found[0].Ref.ID(), s.Label(found[0].Ref.Source()), s.Label(found[1].Ref.Source())),
			Remedy: "give it as VCENTER/ID",
		}
	case len(found) > 1:
		return nil, Disk{}, &ivd.Error{
			Kind: ivd.Unmet, Err: fmt.Errorf("%d disks are meant by %q, such as %s and %s", len(found), text, found[0].Ref.ID(), found[1].Ref.ID()),
			Remedy: "give the whole id, as `ivd disks` lists it",
		}
	case len(m.ours) > 0:
		return nil, Disk{}, m.ours[0]
	case len(m.unknown) > 0:
		return nil, Disk{}, fmt.Errorf("look for disk %s: %w", text, errors.Join(m.unknown...))
	}
	return nil, Disk{}, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no disk %s on any datastore", text), Remedy: "`ivd disks` lists them"}
}

// In are those of the sources in which a disk is looked for that is named by this text,
// and the text without its vCenter's name and the slash, where it begins with them.
func (s *Sources) In(text string) (*Sources, string, error) {
	name, rest, ok := strings.Cut(text, "/")
	if !ok {
		return s, text, nil
	}
	v, err := s.Named(name)
	if err == nil {
		return NewSources(v), rest, nil
	}
	if _, notID := ivd.ParseDiskID(rest); notID == nil || ivd.KindOf(err) == ivd.Transient {
		return nil, "", err
	}
	return s, text, nil // a disk may have a slash in its name
}

// meant are the disks that a text may mean, and why others may be missing.
type meant struct {
	named, begun []Disk // by its whole id or name; by the beginning of its id
	unknown      []error
	ours         []error // of those that restores make: they are not the estate's
}

func (m *meant) lookIn(ctx context.Context, v *VCenter, text string) {
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

func (m *meant) take(to *[]Disk, d Disk) {
	if err := d.Estate(); err != nil {
		m.ours = append(m.ours, err)
		return
	}
	*to = append(*to, d)
}
