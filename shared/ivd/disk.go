package ivd

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// SourceID names where a disk lives: a vCenter by its instance UUID
// (about.instanceUuid), or a standalone ESXi host by its hardware UUID. It outlives
// renamings; the name in a configuration is only a label.
type SourceID string

// DiskID names a disk within its source: an IVD by the UUID that vSphere gave it,
// in lower case, which stays valid when the disk is relocated or snapshotted; a
// VM's own disk by "<the VM's instance UUID>.<device key>".
type DiskID string

// isName reports whether a text is in the grammar of sources and disks in names of
// objects, [0-9a-z][0-9a-z.-]{0,127}: long lists of points ask it.
func isName(s string) bool {
	if s == "" || len(s) > 128 || s[0] == '.' || s[0] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// ParseSourceID refuses what cannot stand in the name of an object.
func ParseSourceID(s string) (SourceID, error) {
	if !isName(s) {
		return "", Errorf(Invalid, "source %q: want small letters, digits, '.' and '-', at most 128", s)
	}
	return SourceID(s), nil
}

// ParseDiskID accepts a UUID in any of its usual spellings, and a VM's own disk.
func ParseDiskID(s string) (DiskID, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	vm, key, ofVM := strings.Cut(s, ".")
	u, err := uuid.Parse(vm)
	switch {
	case err == nil && !ofVM:
		return DiskID(u.String()), nil
	case err == nil && deviceKey.MatchString(key):
		return DiskID(u.String() + "." + key), nil
	case err == nil:
		err = fmt.Errorf("device key %q is no number", key)
	}
	return "", &Error{Kind: Invalid, Op: fmt.Sprintf("disk id %q", s), Err: err, Remedy: "give a disk's id as `ivd disks` lists it"}
}

var deviceKey = regexp.MustCompile(`^[0-9]{1,10}$`)

// DiskKind is what a disk is to vSphere.
type DiskKind string

// The kinds.
const (
	IVD    DiskKind = "ivd"     // a first class disk, attached or not
	VMDisk DiskKind = "vm_disk" // a virtual machine's own disk
)

// Kind tells the two kinds of disk apart by the form of their ids.
func (d DiskID) Kind() DiskKind {
	if strings.Contains(string(d), ".") {
		return VMDisk
	}
	return IVD
}

// DiskRef refers to a disk of a source, and says where it lies now. It is made by
// whoever lists disks or makes them, and used by its methods. Two references are
// equal (==) when source, place and disk are.
type DiskRef struct {
	source    SourceID
	datastore DatastoreID
	id        DiskID
}

// NewDiskRef refers to a disk on a datastore of a source; id is empty for a disk
// that is yet to be made there.
func NewDiskRef(source SourceID, datastore DatastoreID, id DiskID) DiskRef {
	return DiskRef{source: source, datastore: datastore, id: id}
}

// Source is where the disk lives.
func (r DiskRef) Source() SourceID { return r.source }

// ID names the disk within its source.
func (r DiskRef) ID() DiskID { return r.id }

// Datastore is where the disk lies; a relocation changes it.
func (r DiskRef) Datastore() DatastoreID { return r.datastore }

// Made reports whether the disk exists: a restore refers to its disk before.
func (r DiskRef) Made() bool { return r.id != "" }

// On is the same disk on another datastore of its source.
func (r DiskRef) On(datastore DatastoreID) DiskRef {
	r.datastore = datastore
	return r
}

func (r DiskRef) String() string {
	return fmt.Sprintf("disk %s on %s of %s", r.id, r.datastore, r.source)
}

// diskRef is a DiskRef as messages and records carry it.
type diskRef struct {
	Source    SourceID    `json:"source"`
	Datastore DatastoreID `json:"datastore,omitempty"`
	Disk      DiskID      `json:"disk,omitempty"`
}

// MarshalJSON writes {"source":…,"datastore":…,"disk":…}.
func (r DiskRef) MarshalJSON() ([]byte, error) {
	return json.Marshal(diskRef{r.source, r.datastore, r.id})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *DiskRef) UnmarshalJSON(b []byte) error {
	var x diskRef
	if err := json.Unmarshal(b, &x); err != nil {
		return err
	}
	*r = NewDiskRef(x.Source, x.Datastore, x.Disk)
	return nil
}
