package inventory

import (
	"errors"

	"ivdmover/shared/ivd"
)

// Sources are the vCenters and hosts that the coordinator is connected to, each by
// what it says of itself, whatever the configuration calls it.
type Sources map[ivd.SourceID]*VCenter

// Of returns the vCenter, or the host, where a disk lives.
func (s Sources) Of(source ivd.SourceID) (*VCenter, error) {
	v, ok := s[source]
	if !ok {
		return nil, notConfigured(string(source))
	}
	return v, nil
}

// Named returns the vCenter that the configuration calls so.
func (s Sources) Named(name string) (*VCenter, error) {
	for _, v := range s {
		if v.Name() == name {
			return v, nil
		}
	}
	return nil, notConfigured(name)
}

// Only are the vCenter that the configuration calls so; of no name, all.
func (s Sources) Only(name string) (Sources, error) {
	if name == "" {
		return s, nil
	}
	v, err := s.Named(name)
	if err != nil {
		return nil, err
	}
	return Sources{v.Source(): v}, nil
}

// And are those that are in both.
func (s Sources) And(others Sources) Sources {
	both := Sources{}
	for source, v := range s {
		if others[source] != nil {
			both[source] = v
		}
	}
	return both
}

// Alone is the one source that there is; empty where there are several.
func (s Sources) Alone() (source ivd.SourceID) {
	if len(s) == 1 {
		for source = range s {
		}
	}
	return source
}

func notConfigured(vcenter string) error {
	return &ivd.Error{Kind: ivd.NotFound, Err: errors.New("vCenter " + vcenter + " is not in the configuration"), Remedy: "add it under vcenters and restart `ivd serve`"}
}

// Unanswered reports whether what vSphere was asked to make may still appear, after
// this error.
func Unanswered(err error) bool {
	switch ivd.KindOf(err) {
	case ivd.Transient, ivd.Cancelled:
		return true
	case ivd.Unknown:
		return err != nil
	}
	return false
}
