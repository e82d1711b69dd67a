package format

import (
	"fmt"
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

// Lease is the record of a writer or a reader at work, leases/<id>. It stands for
// all domains; Domain is the one that its owner works in.
type Lease struct {
	Head
	ID          ivd.LeaseID       `json:"-"` // the object's name below leases/
	Kind        LeaseKind         `json:"kind"`
	Owner       string            `json:"owner"` // for people: program and host
	Run         ivd.RunID         `json:"run,omitempty"`
	Incarnation ivd.IncarnationID `json:"incarnation"`
	Opened      time.Time         `json:"opened"`   // by the store's clock
	Deadline    time.Time         `json:"deadline"` // by the store's clock; never moved
}

const leasesFolder = "leases/"

// Encode is the lease's object. Its name is made of the id.
func (l Lease) Encode() ([]byte, error) {
	l.Object = leasesFolder + string(l.ID)
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("encode a lease: %w", err)
	}
	return encodeRecord(LeaseMagic, l)
}

// DecodeLease reads the object of the lease of that id.
func DecodeLease(b []byte, repository string, id ivd.LeaseID) (Lease, error) {
	l := Lease{ID: id}
	if err := decodeRecord(LeaseMagic, b, At{Repository: repository, Object: leasesFolder + string(id)}, &l); err != nil {
		return Lease{}, err
	}
	if err := l.check(); err != nil {
		return Lease{}, err
	}
	return l, nil
}

func (l Lease) check() error {
	if l.ID == "" || l.Deadline.IsZero() {
		return corrupt("lease %q without a name or a deadline", l.ID)
	}
	if err := known("kind", l.Kind, WriteLease, ReadLease); err != nil {
		return fmt.Errorf("lease %s: %w", l.ID, err)
	}
	return nil
}

// Writer is the record of who writes packs under a writer id,
// writers/<domain>/<id>.
type Writer struct {
	Head
	ID          ivd.WriterID      `json:"id"`
	Mover       string            `json:"mover"`
	Run         ivd.RunID         `json:"run,omitempty"` // that it writes for; may be empty
	Lease       ivd.LeaseID       `json:"lease"`
	Incarnation ivd.IncarnationID `json:"incarnation"`
	Created     time.Time         `json:"created"`

	// Of an encrypted repository; else they are absent.
	Public   Binary    `json:"public,omitempty"`    // checks the signatures of the writer's packs (Ed25519)
	DataKey  ivd.KeyID `json:"data_key,omitzero"`   // what the frame key is sealed to
	FrameKey Binary    `json:"frame_key,omitempty"` // sealed, as in each of the writer's data packs
}

// Encode is the writer's object.
func (w Writer) Encode() ([]byte, error) { return encodeRecord(WriterMagic, w) }

// DecodeWriter reads a writer's object.
func DecodeWriter(b []byte, at At) (Writer, error) {
	var w Writer
	if err := decodeRecord(WriterMagic, b, at, &w); err != nil {
		return Writer{}, err
	}
	return w, nil
}
