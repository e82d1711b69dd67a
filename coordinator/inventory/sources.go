package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"ivdmover/shared/ivd"
)

// Sources are the vCenters and hosts of the configuration: those that are connected, each
// by what it says of itself, whatever the configuration calls it; and those that have not
// been reached yet, of which only the name is known. Its methods are safe for concurrent
// use.
type Sources struct {
	mu        sync.Mutex
	connected map[ivd.SourceID]*VCenter // guarded by mu, like away
	away      map[string]error          // why not, by the configuration's names
}

// Away is a vCenter that has not been reached yet.
type Away struct {
	Name string
	Err  error // that it is not reached, and why; kind Transient
}

// NewSources are those that are connected.
func NewSources(vcenters ...*VCenter) *Sources {
	s := &Sources{connected: map[ivd.SourceID]*VCenter{}, away: map[string]error{}}
	for _, v := range vcenters {
		s.connected[v.Source()] = v
	}
	return s
}

// Miss notes that a vCenter of the configuration is not reached, and why.
func (s *Sources) Miss(name string, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away[name] = &ivd.Error{
		Kind: ivd.Transient, Err: fmt.Errorf("vCenter %s is not reached: %s", name, strings.TrimPrefix(why.Error(), "vCenter "+name+": ")),
		Remedy: cmp.Or(ivd.RemedyOf(why), "nothing need be restarted: it is tried again and again"),
	}
}

// Join takes a vCenter in that is connected. Kind Invalid: it is there already, under
// another name.
func (s *Sources) Join(v *VCenter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.connected[v.Source()]; other != nil {
		return &ivd.Error{
			Kind: ivd.Invalid, Err: fmt.Errorf("vCenters %q and %q of the configuration are the same: both are %s", other.Name(), v.Name(), v.Source()),
			Remedy: "remove one of the two",
		}
	}
	s.connected[v.Source()] = v
	delete(s.away, v.Name())
	return nil
}

// All are those that are connected, in the order of their ids.
func (s *Sources) All() []*VCenter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.connected), func(a, b *VCenter) int { return cmp.Compare(a.Source(), b.Source()) })
}

// Away are those that are not reached, in the order of their names.
func (s *Sources) Away() []Away {
	s.mu.Lock()
	defer s.mu.Unlock()
	var away []Away
	for _, name := range slices.Sorted(maps.Keys(s.away)) {
		away = append(away, Away{name, s.away[name]})
	}
	return away
}

// Of returns the vCenter, or the host, where a disk lives. Kind Transient: it is none that
// is connected, and may be one that is not reached. Kind NotFound: it is none of the
// configuration.
func (s *Sources) Of(source ivd.SourceID) (*VCenter, error) {
	s.mu.Lock()
	v := s.connected[source]
	s.mu.Unlock()
	if v != nil {
		return v, nil
	}
	return nil, cmp.Or(s.NotReached(), notConfigured(string(source)))
}

// Named returns the vCenter that the configuration calls so. Kind Transient: it is not
// reached.
func (s *Sources) Named(name string) (*VCenter, error) {
	for _, v := range s.All() {
		if v.Name() == name {
			return v, nil
		}
	}
	for _, a := range s.Away() {
		if a.Name == name {
			return nil, a.Err
		}
	}
	return nil, notConfigured(name)
}

// Label is what the configuration calls a source; one that is not connected is shown as
// itself.
func (s *Sources) Label(source ivd.SourceID) string {
	if v, err := s.Of(source); err == nil {
		return v.Name()
	}
	return string(source)
}

// Only are the vCenter that the configuration calls so; of no name, all.
func (s *Sources) Only(name string) (*Sources, error) {
	if name == "" {
		return s, nil
	}
	v, err := s.Named(name)
	if err != nil {
		return nil, err
	}
	return NewSources(v), nil
}

// And are those that are in both.
func (s *Sources) And(others *Sources) *Sources {
	both := NewSources(slices.DeleteFunc(s.All(), func(v *VCenter) bool { return !slices.Contains(others.All(), v) })...)
	for _, a := range s.Away() {
		if slices.ContainsFunc(others.Away(), func(o Away) bool { return o.Name == a.Name }) {
			both.away[a.Name] = a.Err
		}
	}
	return both
}

// Alone is the one source that there is; empty where there may be several.
func (s *Sources) Alone() ivd.SourceID {
	if all := s.All(); len(all) == 1 && len(s.Away()) == 0 {
		return all[0].Source()
	}
	return ""
}

// NotReached says which are away, and why; nil: none is.
func (s *Sources) NotReached() error {
	away := s.Away()
	switch len(away) {
	case 0:
		return nil
	case 1:
		return away[0].Err
	}
	texts := make([]string, len(away))
	for i, a := range away {
		texts[i] = a.Err.Error()
	}
	return &ivd.Error{Kind: ivd.Transient, Err: errors.New(strings.Join(texts, "; ")), Remedy: ivd.RemedyOf(away[0].Err)}
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
