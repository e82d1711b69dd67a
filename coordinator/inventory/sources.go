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
