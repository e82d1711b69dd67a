package format

import (
	"fmt"
	"time"

	"ivdmover/shared/ivd"
)

// Run is the record of a run that is over, runs/<domain>/<run>: what it was, and
// which points it committed, so that a catalogue is made of one object a run; or, of a
// restore, which disks it has made; or, of a verification, what it has found whole.
type Run struct {
	Head
	ID          ivd.RunID         `json:"run"`
	Kind        string            `json:"kind"`  // "backup", "restore" or "verify"
	State       string            `json:"state"` // "done", "partial", "failed", "cancelled"
	Policy      string            `json:"policy,omitempty"`
	Coordinator string            `json:"coordinator"`
	Incarnation ivd.IncarnationID `json:"incarnation"`
	Lease       ivd.LeaseID       `json:"lease"` // the last one
	Started     time.Time         `json:"started"`
	Ended       time.Time         `json:"ended"`
	Points      []RunPoint        `json:"points"`
	Restored    []RunRestore      `json:"restored,omitempty"`
	Verified    []RunVerified     `json:"verified,omitempty"`
	Failed      []RunFailure      `json:"failed,omitempty"`
	Forgotten   []ivd.PointID     `json:"forgotten,omitempty"` // points that the run gave up
	LeftOut     string            `json:"left_out,omitempty"`  // what could not even be listed

	NotForgotten string `json:"not_forgotten,omitempty"` // why it gave up nothing, or not all that it should

	// The records of one coordinator that one key signs are in an order, without a gap.
	Sequence uint64   `json:"sequence"`           // in it, from 1
	Previous *RunLink `json:"previous,omitempty"` // the one before; nil of the first
}

// RunLink is the record of another run.
type RunLink struct {
	Run ivd.RunID     `json:"run"`
	Sum ivd.ContentID `json:"sum"` // of its object
}

// RunPoint is a point that the run committed.
type RunPoint struct {
	Point    ivd.PointID   `json:"point"`
	Sum      ivd.ContentID `json:"sum"`  // of its object
	Name     string        `json:"name"` // the disk's
	Time     time.Time     `json:"time"`
	SealedAt time.Time     `json:"sealed_at"`
	Mode     ReadMode      `json:"mode"`
	Geometry ivd.Geometry  `json:"geometry"`
	Policy   string        `json:"policy,omitempty"`
	Stats    ivd.Stats     `json:"stats"`

	// Absent in records of earlier programs: the point itself says them.
	Datastore   PointDatastore `json:"datastore,omitzero"` // where the disk lay
	Parent      ivd.PointID    `json:"parent,omitempty"`   // absent also of a disk's first point
	Consistency Consistency    `json:"consistency,omitempty"`

	ProtectedUntil time.Time `json:"protected_until,omitzero"` // absent also where the store locks nothing
}

// Tells reports whether it says all that a list of points shows.
func (p RunPoint) Tells() bool { return p.Consistency != "" }

// RunRestore is a point that the run has restored.
type RunRestore struct {
	Point     ivd.PointID     `json:"point"`
	Name      string          `json:"name"`   // of the disk that the point is of
	Source    ivd.SourceID    `json:"source"` // of the new disk, like what follows
	Datastore ivd.DatastoreID `json:"datastore"`
	Disk      ivd.DiskID      `json:"disk"`
	Target    string          `json:"target"` // its final name
	Geometry  ivd.Geometry    `json:"geometry"`
	Stats     ivd.Stats       `json:"stats"`
}

// RunVerified is a point that the run has read and found whole, as deep as it read, or
// packs.
type RunVerified struct {
	Point    ivd.PointID  `json:"point,omitempty"`  // empty: packs
	Folder   string       `json:"folder,omitempty"` // of a scrub: all packs of this one were read, as "data/3f"
	Name     string       `json:"name"`             // of the disk that the point is of
	Depth    string       `json:"depth"`            // "structure", "sample" or "whole"; of packs "proof" or "scrub"
	Percent  int          `json:"percent,omitempty"`
	Geometry ivd.Geometry `json:"geometry"`
	Stats    ivd.Stats    `json:"stats"`
}

// RunFailure is a disk without a point of the run, or a point that was not restored, or
// not found whole.
type RunFailure struct {
	Source ivd.SourceID `json:"source"` // of a restore: where the new disk was to be
	Disk   ivd.DiskID   `json:"disk"`
	Name   string       `json:"name"`
	State  string       `json:"state"` // "failed" or "cancelled"
	Reason string       `json:"reason,omitempty"`
	Point  ivd.PointID  `json:"point,omitempty"` // of a restore or a verification
}

// Encode is the run's object.
func (r Run) Encode() ([]byte, error) {
	if r.Points == nil {
		r.Points = []RunPoint{}
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("encode run %s: %w", r.ID, err)
	}
	return encodeRecord(RunMagic, r)
}

// DecodeRun reads a run's object.
func DecodeRun(b []byte, at At) (Run, error) {
	var r Run
	if err := decodeRecord(RunMagic, b, at, &r); err != nil {
		return Run{}, err
	}
	if err := r.check(); err != nil {
		return Run{}, fmt.Errorf("run %s: %w", r.ID, err)
	}
	return r, nil
}

func (r Run) check() error {
	if err := known("kind", r.Kind, "backup", "restore", "verify"); err != nil {
		return err
	}
	if err := known("state", r.State, "done", "partial", "failed", "cancelled"); err != nil {
		return err
	}
	if r.Sequence == 0 || (r.Sequence == 1) != (r.Previous == nil) || r.Previous != nil && (r.Previous.Run == "" || r.Previous.Sum.IsZero()) {
		return corrupt("it is number %d of its signer's, after %+v", r.Sequence, r.Previous)
	}
	for _, id := range r.Forgotten {
		if _, err := ivd.ParsePointID(string(id)); err != nil || id.Domain() != r.Domain {
			return corrupt("it has forgotten %q, which is no point of its domain", id)
		}
	}
	for _, v := range r.Verified {
		if err := known("depth", v.Depth, "structure", "sample", "whole", "proof", "scrub"); err != nil {
			return err
		}
	}
	for _, p := range r.Points {
		if p.Point.Run() != r.ID {
			return corrupt("point %s is of another run", p.Point)
		}
		if err := p.check(); err != nil {
			return err
		}
	}
	return nil
}

func (p RunPoint) check() error {
	if err := known("points' mode", p.Mode, ReadChanged, ReadInUse, ReadAllocated); err != nil {
		return err
	}
	if !p.Tells() {
		return nil
	}
	if err := known("points' consistency", p.Consistency, CrashConsistent, Quiesced); err != nil {
		return err
	}
	if _, err := ivd.ParsePointID(string(p.Parent)); p.Parent != "" && (err != nil || p.Parent.Domain() != p.Point.Domain()) {
		return corrupt("point %s is a child of %q, which is no point of its domain", p.Point, p.Parent)
	}
	return nil
}
