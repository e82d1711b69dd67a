package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Mark is what is said of a point beside it.
type Mark struct {
	Forgotten *format.Forgotten // it was given up
	Pin       *format.Pin       // that keeps it
	Hold      *format.Hold      // that keeps it
	// Quarantined takes it out of collections, since it cannot be read. MarksToCollect tells.
	Quarantined *format.Quarantined
	// Unknown is why a mark below pins/ or holds/ cannot be read: it keeps the point.
	Unknown error
}

// Kept is by what a point stays whatever retention says; empty: by nothing.
func (m Mark) Kept() string {
	switch {
	case m.Hold != nil:
		return fmt.Sprintf("held until %s: %s", m.Hold.Until.UTC().Format(time.RFC3339), m.Hold.Reason)
	case m.Pin != nil && m.Pin.Reason != "":
		return "pinned: " + m.Pin.Reason
	case m.Pin != nil:
		return "pinned"
	case m.Unknown != nil:
		return fmt.Sprintf("a mark that may keep it cannot be read: %s", m.Unknown)
	}
	return ""
}

// GivenUp reports whether the point was given up, and is not kept all the same.
func (m Mark) GivenUp() bool { return m.Forgotten != nil && m.Kept() == "" }

// Marks are the marks of some points, as they were read. They do not change.
type Marks struct {
	of map[ivd.PointID]Mark
	// Ignored says of marks why they have no effect: below forgotten/ and quarantined/ those
	// that cannot be read, and everywhere those whose signature does not hold. They are for people to look
	// at.
	Ignored []error
}

// Points are the points that are marked, in order, whether they are there or not.
func (m *Marks) Points() []ivd.PointID { return slices.Sorted(maps.Keys(m.of)) }

// Of is the mark of a point.
func (m *Marks) Of(id ivd.PointID) Mark { return m.of[id] }

// Quarantined reports whether a point is out of collections.
func (m *Marks) Quarantined(id ivd.PointID) bool { return m.of[id].Quarantined != nil }

// Marks reads the marks of some points (P1): three LISTs, and what they name; of what says
// that a point was given up, what was not read before. It does not ask which points are
// quarantined.
func (r *Repository) Marks(ctx context.Context, of PointsOf) (*Marks, error) {
	return r.marks(ctx, of, r.markKinds())
}

// MarksToCollect reads all marks of all points, with which of them are quarantined.
func (r *Repository) MarksToCollect(ctx context.Context) (*Marks, error) {
	return r.marks(ctx, PointsOf{}, append(r.markKinds(), r.quarantinedKind()))
}

func (r *Repository) marks(ctx context.Context, of PointsOf, kinds []markKind) (*Marks, error) {
	m := &Marks{of: map[ivd.PointID]Mark{}}
	for _, kind := range kinds {
		folder := kind.dir + r.domain.String() + "/"
		if of.Source != "" && of.Disk != "" {
			folder = kind.dir + ivd.PointFolder(r.domain, of.Source, of.Disk)
		}
		names, err := r.names(ctx, folder)
		if err != nil {
			return nil, err
		}
		names = slices.DeleteFunc(names, func(n store.Name) bool { return kind.known(ivd.PointID(n[len(kind.dir):]), m) })
		err = r.each(ctx, names, func(o store.Object) error {
			m.put(ctx, kind, o)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read the marks below %s: %w", folder, err)
		}
	}
	return m, nil
}

// Mark reads the marks of one point by their names.
func (r *Repository) Mark(ctx context.Context, id ivd.PointID) (Mark, error) {
	m := &Marks{of: map[ivd.PointID]Mark{}}
	for _, kind := range r.markKinds() {
		if kind.known(id, m) {
			continue
		}
		o, err := r.get(ctx, kind.name(id), format.MaxRecord)
		switch {
		case err == nil:
			m.put(ctx, kind, o)
		case ivd.KindOf(err) != ivd.NotFound:
			return Mark{}, err
		}
	}
	return m.of[id], nil
}

// MarkNames are the objects of a point's marks, whether they are there or not, for who
// deletes them with the point.
func (r *Repository) MarkNames(id ivd.PointID) []store.Name {
	var names []store.Name
	for _, kind := range append(r.markKinds(), r.quarantinedKind()) {
		names = append(names, kind.name(id))
	}
	return names
}

// IsForgotten reports whether a point was given up. It asks for nothing else where it was
// not.
func (r *Repository) IsForgotten(ctx context.Context, id ivd.PointID) (bool, error) {
	_, err := r.st.Stat(ctx, store.Name(forgottenDir+string(id)))
	if ivd.KindOf(err) == ivd.NotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask for the mark of %s: %w", id, err)
	}
	m, err := r.Mark(ctx, id)
	return m.GivenUp(), err
}

// markKind is one of the folders of marks.
type markKind struct {
	dir string
	// known takes what was read before; it reports whether that is enough.
	known func(id ivd.PointID, m *Marks) bool
	// read takes what an object says of its point.
	read func(ctx context.Context, o store.Object, id ivd.PointID, m *Mark) error
	// keeps: one that cannot be judged keeps its point.
	keeps bool
}

func (k markKind) name(id ivd.PointID) store.Name { return store.Name(k.dir + string(id)) }

func (r *Repository) markKinds() []markKind {
	now := r.Now()
	unknown := func(ivd.PointID, *Marks) bool { return false }
	return []markKind{
		{forgottenDir, r.knownForgotten, r.readForgotten, false},
		{pinsDir, unknown, func(ctx context.Context, o store.Object, id ivd.PointID, m *Mark) error {
			p, err := readMark(ctx, r, o, format.PinMagic, id, format.DecodePin)
			if err == nil && p.Keeps() {
				m.Pin = &p
			}
			return err
		}, true},
		{holdsDir, unknown, func(ctx context.Context, o store.Object, id ivd.PointID, m *Mark) error {
			h, err := readMark(ctx, r, o, format.HoldMagic, id, format.DecodeHold)
			if err == nil && h.Keeps(now) {
				m.Hold = &h
			}
			return err
		}, true},
	}
}

func (r *Repository) quarantinedKind() markKind {
	unknown := func(ivd.PointID, *Marks) bool { return false }
	return markKind{quarantinedDir, unknown, func(ctx context.Context, o store.Object, id ivd.PointID, m *Mark) error {
		q, err := readMark(ctx, r, o, format.QuarantinedMagic, id, format.DecodeQuarantined)
		if err == nil && q.Stands() {
			m.Quarantined = &q
		}
		return err
	}, false}
}

func readMark[T any](ctx context.Context, r *Repository, o store.Object, magic format.Magic, id ivd.PointID, read func([]byte, string, ivd.PointID) (T, error)) (T, error) {
	return decode(ctx, r, o, magic, func(b []byte, _ format.At) (T, error) { return read(b, r.info.ID, id) })
}

// put takes an object's word. What is not understood counts in the direction that deletes
// nothing; ignored is what a known key's signature fails on.
func (m *Marks) put(ctx context.Context, kind markKind, o store.Object) {
	id := ivd.PointID(o.Name[len(kind.dir):])
	mark := m.of[id]
	err := kind.read(ctx, o, id, &mark)
	switch {
	case err != nil && kind.keeps && !errors.Is(err, format.ErrForged):
		mark.Unknown = fmt.Errorf("%s: %w", o.Name, err)
	case err != nil:
		m.Ignored = append(m.Ignored, fmt.Errorf("%s: %w", o.Name, err))
	}
	m.of[id] = mark
}

// keptForgotten is how many marks of points that were given up are kept in memory, which
// never change: some 300 bytes each.
const keptForgotten = 100_000

func (r *Repository) readForgotten(ctx context.Context, o store.Object, id ivd.PointID, m *Mark) error {
	f, err := readMark(ctx, r, o, format.ForgottenMagic, id, format.DecodeForgotten)
	if err != nil {
		return err
	}
	m.Forgotten = &f
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.forgotten) >= keptForgotten || r.forgotten == nil {
		r.forgotten = map[ivd.PointID]*format.Forgotten{} // they are read again
	}
	r.forgotten[id] = &f
	return nil
}

func (r *Repository) knownForgotten(id ivd.PointID, m *Marks) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, known := r.forgotten[id]
	if known {
		m.of[id] = Mark{Forgotten: f}
	}
	return known
}
