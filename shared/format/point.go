package format

import (
	"fmt"
	"time"

	"ivdmover/shared/ivd"
)

// Point is a restore point: one backup of one disk, whole. The packs that it
// needs are those of its pages' pack sets and those that the pages lie in. What
// this release cannot tell of a disk is absent.
type Point struct {
	Head
	ID ivd.PointID `json:"-"` // the object's name below points/

	Source   PointSource  `json:"source"`
	Disk     PointDisk    `json:"disk"`
	VM       *PointVM     `json:"vm,omitempty"` // whose own disk it is
	Geometry ivd.Geometry `json:"geometry"`
	// CutAt is the disk's capacity when its chunk size was chosen: at this point, or
	// at the one of its parents that was read whole then.
	CutAt int64 `json:"cut_at"`

	Time        time.Time     `json:"time"` // of the snapshot, as vSphere tells it
	Snapshot    PointSnapshot `json:"snapshot,omitzero"`
	Tracking    Tracking      `json:"tracking"`
	Consistency Consistency   `json:"consistency"`
	Group       *Group        `json:"group,omitempty"`
	Partial     *Partial      `json:"partial,omitempty"`

	Policy         string            `json:"policy,omitempty"`
	Run            ivd.RunID         `json:"run"`
	Incarnation    ivd.IncarnationID `json:"incarnation"`
	Lease          ivd.LeaseID       `json:"lease"` // under which it was committed
	LeaseDeadline  time.Time         `json:"lease_deadline"`
	SealedAt       time.Time         `json:"sealed_at"` // by the store's clock: all that it names was stored
	Parent         *PointParent      `json:"parent,omitempty"`
	ProtectedUntil time.Time         `json:"protected_until,omitzero"` // the least date of a lock of what it names
	Pages          []ivd.PageRef     `json:"pages"`                    // in order; pages of zeros are not named
	Stats          ivd.Stats         `json:"stats"`
}

// PointSource is where the disk lived.
type PointSource struct {
	Kind    SourceKind   `json:"kind"`
	ID      ivd.SourceID `json:"id"`
	Label   string       `json:"label,omitempty"` // the configuration's name for it
	Product string       `json:"product,omitempty"`
	Version string       `json:"version,omitempty"`
	Build   string       `json:"build,omitempty"`
}

// SourceKind is what manages disks.
type SourceKind string

// The kinds.
const (
	VCenter SourceKind = "vcenter"
	ESXi    SourceKind = "esxi" // a standalone host
)

// PointParent is the point that a backup builds on. It needs nothing of it.
type PointParent struct {
	Point ivd.PointID   `json:"point"`
	Sum   ivd.ContentID `json:"sum"` // of its object
}

// PointSnapshot is what the disk was read from.
type PointSnapshot struct {
	ID      ivd.SnapshotID `json:"id"`
	Created time.Time      `json:"created,omitzero"` // as vSphere tells it
}

// Tracking is what changed block tracking really was, and what came of it.
type Tracking struct {
	CBT      CBT          `json:"cbt"`
	ChangeID ivd.ChangeID `json:"change_id,omitempty"` // of the snapshot: what a child's changed areas are asked since
	Mode     ReadMode     `json:"mode"`
	Since    ivd.ChangeID `json:"since,omitempty"` // the parent's change id, where changed areas were read
	Why      string       `json:"why,omitempty"`   // for people: why nothing better than Mode
}

// CBT is what changed block tracking was found to be at the snapshot.
type CBT string

// What it can be.
const (
	CBTOn     CBT = "on"
	CBTOff    CBT = "off"
	CBTUnused CBT = "unused" // the policy did not want it, whatever it was
)

// ReadMode is how it was found out what to read.
type ReadMode string

// The modes.
const (
	ReadChanged   ReadMode = "changed"   // areas changed since the parent; other chunks are the parent's
	ReadInUse     ReadMode = "in_use"    // areas in use by vSphere; other chunks are zeros
	ReadAllocated ReadMode = "allocated" // areas allocated by VDDK; other chunks are zeros
)

// Consistency is what a guest finds after a restore.
type Consistency string

// The kinds.
const (
	CrashConsistent Consistency = "crash"    // as after a loss of power
	Quiesced        Consistency = "quiesced" // the guest was asked to write out what it had
)

// Group are the points that were made at one moment.
type Group struct {
	ID      string        `json:"id"`
	Members []ivd.PointID `json:"members"`
}

// Partial says how far a partial point got: the spans before Next are done.
type Partial struct {
	Next ivd.SpanIndex `json:"next"`
}

// Encode is the point's object. Its name is made of the id.
func (p Point) Encode() ([]byte, error) {
	p.Object = pointsFolder + string(p.ID)
	if p.Pages == nil {
		p.Pages = []ivd.PageRef{}
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("encode point %s: %w", p.ID, err)
	}
	return encodeRecord(PointMagic, p)
}

// pointsFolder is what the names of all points begin with.
const pointsFolder = "points/"

// DecodePoint reads the object of the point of that id.
func DecodePoint(b []byte, repository string, id ivd.PointID) (Point, error) {
	p := Point{ID: id}
	at := At{Repository: repository, Domain: id.Domain(), Object: pointsFolder + string(id)}
	if err := decodeRecord(PointMagic, b, at, &p); err != nil {
		return Point{}, err
	}
	if err := p.check(); err != nil {
		return Point{}, err
	}
	return p, nil
}

// Ref is the disk, where it lay.
func (p Point) Ref() ivd.DiskRef {
	return ivd.NewDiskRef(p.Source.ID, p.Disk.Datastore.ID, p.Disk.ID)
}

func (p Point) check() error {
	if _, err := ivd.ParsePointID(string(p.ID)); err != nil {
		return corrupt("%w", err)
	}
	if p.ID.Source() != p.Source.ID || p.ID.Disk() != p.Disk.ID {
		return corrupt("point %s is of disk %q of %q", p.ID, p.Disk.ID, p.Source.ID)
	}
	if p.ID.Run() != p.Run || p.ID.Domain() != p.Domain {
		return corrupt("point %s is of run %q and domain %s", p.ID, p.Run, p.Domain)
	}
	if _, partial := p.ID.Partial(); partial != (p.Partial != nil) {
		return corrupt("point %s is called partial: %t, and is: %t", p.ID, partial, p.Partial != nil)
	}
	if err := p.checkWords(); err != nil {
		return fmt.Errorf("point %s: %w", p.ID, err)
	}
	if p.Parent != nil && p.Parent.Point.Disk() != p.Disk.ID {
		return corrupt("point %s: parent %s is of another disk", p.ID, p.Parent.Point)
	}
	if err := p.Geometry.Validate(); err != nil {
		return corrupt("point %s: %w", p.ID, err)
	}
	return p.checkPages()
}

func (p Point) checkWords() error {
	for _, err := range []error{
		known("source.kind", p.Source.Kind, VCenter, ESXi),
		known("disk.kind", p.Disk.Kind, ivd.IVD, ivd.VMDisk),
		known("tracking.cbt", p.Tracking.CBT, CBTOn, CBTOff, CBTUnused),
		known("tracking.mode", p.Tracking.Mode, ReadChanged, ReadInUse, ReadAllocated),
		known("consistency", p.Consistency, CrashConsistent, Quiesced),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (p Point) checkPages() error {
	last := ivd.PageIndex(-1)
	for _, r := range p.Pages {
		if r.Page <= last || r.Page >= p.Geometry.Pages() {
			return corrupt("point %s: page %d after page %d of %d", p.ID, r.Page, last, p.Geometry.Pages())
		}
		if r.Place.IsZero() {
			return corrupt("point %s: page %d lies nowhere", p.ID, r.Page)
		}
		if err := checkPlace(r.Place.Offset, r.Place.Length, MaxPlain); err != nil {
			return fmt.Errorf("point %s: page %d: %w", p.ID, r.Page, err)
		}
		last = r.Page
	}
	return nil
}
