package format

import (
	"fmt"
	"time"

	"ivdmover/shared/ivd"
)

// Point is a restore point: one backup of one disk, whole. The packs that it
// needs are those of its pages' pack sets and those that the pages lie in.
type Point struct {
	Version       int               `json:"version"`
	ID            ivd.PointID       `json:"id"`
	Repository    string            `json:"repository"`
	Disk          ivd.DiskRef       `json:"disk"`
	Name          string            `json:"name"`                     // the disk's, for people
	DatastoreName string            `json:"datastore_name,omitempty"` // for people
	Geometry      ivd.Geometry      `json:"geometry"`
	Run           ivd.RunID         `json:"run"`
	Lease         ivd.LeaseID       `json:"lease"`
	LeaseDeadline time.Time         `json:"lease_deadline"`
	Time          time.Time         `json:"time"` // of the snapshot, by vCenter's or the coordinator's clock
	Parent        ivd.PointID       `json:"parent,omitempty"`
	Snapshot      ivd.SnapshotID    `json:"snapshot,omitempty"`
	ChangeID      ivd.ChangeID      `json:"change_id,omitempty"` // of the snapshot: what a child's changed areas are asked since
	CBT           string            `json:"cbt,omitempty"`       // what changed block tracking was, for people
	Mode          string            `json:"mode,omitempty"`      // how it was found out what to read
	Pages         []ivd.PageRef     `json:"pages"`               // in order; pages of zeros are not named
	Stats         ivd.Stats         `json:"stats"`
	Metadata      map[string]string `json:"metadata,omitempty"` // of the disk, as vSphere has it
}

// Encode is the point's object. Version is filled in.
func (p Point) Encode() ([]byte, error) {
	p.Version = RecordVersion
	if p.Pages == nil {
		p.Pages = []ivd.PageRef{}
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("encode point %s: %w", p.ID, err)
	}
	return encodeRecord(PointMagic, p)
}

// DecodePoint reads a point's object.
func DecodePoint(b []byte) (Point, error) {
	var p Point
	if err := decodeRecord(PointMagic, b, &p); err != nil {
		return Point{}, err
	}
	if err := p.check(); err != nil {
		return Point{}, corrupt("point %q: %w", p.ID, err)
	}
	return p, nil
}

func (p Point) check() error {
	if _, err := ivd.ParsePointID(string(p.ID)); err != nil {
		return err
	}
	if p.ID.Disk() != p.Disk.ID() {
		return fmt.Errorf("it is of disk %q", p.Disk.ID())
	}
	if err := p.Geometry.Validate(); err != nil {
		return err
	}
	last := ivd.PageIndex(-1)
	for _, r := range p.Pages {
		if r.Page <= last || r.Page >= p.Geometry.Pages() {
			return fmt.Errorf("page %d after page %d of %d", r.Page, last, p.Geometry.Pages())
		}
		if r.Place.IsZero() {
			return fmt.Errorf("page %d lies nowhere", r.Page)
		}
		if err := checkPlace(r.Place.Offset, r.Place.Length, MaxPlain); err != nil {
			return fmt.Errorf("page %d: %w", r.Page, err)
		}
		last = r.Page
	}
	return nil
}
