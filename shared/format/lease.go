package format

import (
	"time"

	"ivdmover/shared/ivd"
)

// LeaseKind is what a lease gives the right to.
type LeaseKind string

// The kinds.
const (
	WriteLease LeaseKind = "write"
	ReadLease  LeaseKind = "read"
)

// Lease is the record of a writer or a reader at work, leases/<id>.
type Lease struct {
	Version    int         `json:"version"`
	Repository string      `json:"repository"`
	ID         ivd.LeaseID `json:"id"`
	Kind       LeaseKind   `json:"kind"`
	Owner      string      `json:"owner"` // for people: program and host
	Run        ivd.RunID   `json:"run,omitempty"`
	Opened     time.Time   `json:"opened"`   // by the store's clock
	Deadline   time.Time   `json:"deadline"` // by the store's clock; never moved
}

// Encode is the lease's object. Version is filled in.
func (l Lease) Encode() ([]byte, error) {
	l.Version = RecordVersion
	return encodeRecord(LeaseMagic, l)
}

// DecodeLease reads a lease's object.
func DecodeLease(b []byte) (Lease, error) {
	var l Lease
	if err := decodeRecord(LeaseMagic, b, &l); err != nil {
		return Lease{}, err
	}
	if l.ID == "" || l.Deadline.IsZero() {
		return Lease{}, corrupt("lease %q without a name or a deadline", l.ID)
	}
	return l, nil
}

// Writer is the record of who writes packs under a writer id, writers/<id>.
type Writer struct {
	Version    int          `json:"version"`
	Repository string       `json:"repository"`
	ID         ivd.WriterID `json:"id"`
	Mover      string       `json:"mover"`
	Lease      ivd.LeaseID  `json:"lease"`
	Created    time.Time    `json:"created"`
}

// Encode is the writer's object. Version is filled in.
func (w Writer) Encode() ([]byte, error) {
	w.Version = RecordVersion
	return encodeRecord(WriterMagic, w)
}

// DecodeWriter reads a writer's object.
func DecodeWriter(b []byte) (Writer, error) {
	var w Writer
	if err := decodeRecord(WriterMagic, b, &w); err != nil {
		return Writer{}, err
	}
	return w, nil
}

// Condemned is a collection's list, collect/<id>/condemned: what no backup may
// build on any more, since it is about to be deleted.
type Condemned struct {
	Version    int           `json:"version"`
	Repository string        `json:"repository"`
	ID         string        `json:"id"` // of the collection; random
	Created    time.Time     `json:"created"`
	Packs      []ivd.PackID  `json:"packs"`
	Points     []ivd.PointID `json:"points"`
}

// Encode is the list's object. Version is filled in.
func (c Condemned) Encode() ([]byte, error) {
	c.Version = RecordVersion
	return encodeRecord(CondemnedMagic, c)
}

// DecodeCondemned reads a list's object.
func DecodeCondemned(b []byte) (Condemned, error) {
	var c Condemned
	if err := decodeRecord(CondemnedMagic, b, &c); err != nil {
		return Condemned{}, err
	}
	return c, nil
}

// Retired is a marker, retired/<pack id>: no later backup builds on that pack.
type Retired struct {
	Version    int        `json:"version"`
	Repository string     `json:"repository"`
	Pack       ivd.PackID `json:"pack"`
	Reason     string     `json:"reason"`
	Created    time.Time  `json:"created"`
}

// Encode is the marker's object. Version is filled in.
func (r Retired) Encode() ([]byte, error) {
	r.Version = RecordVersion
	return encodeRecord(RetiredMagic, r)
}

// DecodeRetired reads a marker's object.
func DecodeRetired(b []byte) (Retired, error) {
	var r Retired
	if err := decodeRecord(RetiredMagic, b, &r); err != nil {
		return Retired{}, err
	}
	return r, nil
}
