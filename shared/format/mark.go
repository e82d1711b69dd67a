package format

import (
	"fmt"
	"time"

	"ivdmover/shared/ivd"
)

// The folders of marks: records beside a point, of the point's own name.
const (
	forgottenFolder = "forgotten/"
	pinsFolder      = "pins/"
	holdsFolder     = "holds/"

	quarantinedFolder = "quarantined/"
)

// Forgotten says that a point was given up, forgotten/<point>. It deletes nothing: a
// collection may, unless the point is pinned or held, or is the last good one of its
// disk. It is written once, and nothing takes it back.
type Forgotten struct {
	Head
	Point  ivd.PointID `json:"-"` // the object's name below forgotten/
	At     time.Time   `json:"forgotten"`
	Reason string      `json:"reason"`           // for people
	Policy string      `json:"policy,omitempty"` // whose rules do not keep it; empty: a person asked for it
	Run    ivd.RunID   `json:"run,omitempty"`    // of the policy, at whose end it was
}

// Pin keeps a point whatever retention says, pins/<point>, until it is taken off.
type Pin struct {
	Head
	Point    ivd.PointID `json:"-"` // the object's name below pins/
	At       time.Time   `json:"pinned"`
	Reason   string      `json:"reason,omitempty"`  // for people
	Released time.Time   `json:"released,omitzero"` // since then it keeps the point no more
}

// Hold keeps a point until a day, holds/<point>, for a reason that somebody may ask for.
type Hold struct {
	Head
	Point    ivd.PointID `json:"-"` // the object's name below holds/
	At       time.Time   `json:"held"`
	Until    time.Time   `json:"until"` // by the store's clock
	Reason   string      `json:"reason"`
	Released time.Time   `json:"released,omitzero"` // since then it keeps the point no more, whatever its end
	Why      string      `json:"released_for,omitempty"`
}

// Quarantined takes a point out of collections that cannot be read, quarantined/<point>,
// until that is lifted: what only such a point needs is deleted.
type Quarantined struct {
	Head
	Point  ivd.PointID `json:"-"` // the object's name below quarantined/
	At     time.Time   `json:"quarantined"`
	Reason string      `json:"reason"`          // for people
	Lifted time.Time   `json:"lifted,omitzero"` // since then a collection needs it read
}

// Stands reports whether the point is out of collections.
func (q Quarantined) Stands() bool { return q.Lifted.IsZero() }

// Keeps reports whether the pin keeps its point.
func (p Pin) Keeps() bool { return p.Released.IsZero() }

// Keeps reports whether the hold keeps its point, when the store's clock says so much.
func (h Hold) Keeps(now time.Time) bool { return h.Released.IsZero() && now.Before(h.Until) }

// Encode is the mark's object. Its name is made of the point.
func (f Forgotten) Encode() ([]byte, error) {
	f.Object = forgottenFolder + string(f.Point)
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("encode %s: %w", f.Object, err)
	}
	return encodeRecord(ForgottenMagic, f)
}

// Encode is the mark's object. Its name is made of the point.
func (p Pin) Encode() ([]byte, error) {
	p.Object = pinsFolder + string(p.Point)
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("encode %s: %w", p.Object, err)
	}
	return encodeRecord(PinMagic, p)
}

// Encode is the mark's object. Its name is made of the point.
func (h Hold) Encode() ([]byte, error) {
	h.Object = holdsFolder + string(h.Point)
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("encode %s: %w", h.Object, err)
	}
	return encodeRecord(HoldMagic, h)
}

// Encode is the mark's object. Its name is made of the point.
func (q Quarantined) Encode() ([]byte, error) {
	q.Object = quarantinedFolder + string(q.Point)
	if err := q.check(); err != nil {
		return nil, fmt.Errorf("encode %s: %w", q.Object, err)
	}
	return encodeRecord(QuarantinedMagic, q)
}

// DecodeForgotten reads the object that says of a point that it was given up.
func DecodeForgotten(b []byte, repository string, point ivd.PointID) (Forgotten, error) {
	f := Forgotten{Point: point}
	if err := decodeMark(ForgottenMagic, b, repository, forgottenFolder, point, &f); err != nil {
		return Forgotten{}, err
	}
	return f, f.check()
}

// DecodePin reads the object that pins a point.
func DecodePin(b []byte, repository string, point ivd.PointID) (Pin, error) {
	p := Pin{Point: point}
	if err := decodeMark(PinMagic, b, repository, pinsFolder, point, &p); err != nil {
		return Pin{}, err
	}
	return p, p.check()
}

// DecodeHold reads the object that holds a point.
func DecodeHold(b []byte, repository string, point ivd.PointID) (Hold, error) {
	h := Hold{Point: point}
	if err := decodeMark(HoldMagic, b, repository, holdsFolder, point, &h); err != nil {
		return Hold{}, err
	}
	return h, h.check()
}

// DecodeQuarantined reads the object that takes a point out of collections.
func DecodeQuarantined(b []byte, repository string, point ivd.PointID) (Quarantined, error) {
	q := Quarantined{Point: point}
	if err := decodeMark(QuarantinedMagic, b, repository, quarantinedFolder, point, &q); err != nil {
		return Quarantined{}, err
	}
	return q, q.check()
}

func decodeMark(magic Magic, b []byte, repository, folder string, point ivd.PointID, into any) error {
	return decodeRecord(magic, b, At{Repository: repository, Domain: point.Domain(), Object: folder + string(point)}, into)
}

func (f Forgotten) check() error { return checkMark(f.Head, f.Point, f.At, f.Reason) }
func (p Pin) check() error       { return checkMark(p.Head, p.Point, p.At, "any or none") }

func (q Quarantined) check() error { return checkMark(q.Head, q.Point, q.At, q.Reason) }

func (h Hold) check() error {
	if h.Until.IsZero() {
		return corrupt("%s: it does not say until when", h.Object)
	}
	return checkMark(h.Head, h.Point, h.At, h.Reason)
}

func checkMark(h Head, point ivd.PointID, at time.Time, reason string) error {
	if _, err := ivd.ParsePointID(string(point)); err != nil || point.Domain() != h.Domain {
		return corrupt("%s: it is of %q, which is no point of its domain", h.Object, point)
	}
	if at.IsZero() || reason == "" {
		return corrupt("%s: it does not say when, or why", h.Object)
	}
	return nil
}
