// Package job is what travels between coordinators, movers and doctors: jobs,
// their records, heartbeats, progress, logins, requests and answers.
//
// Everything is plain data with its JSON names; the package does no I/O and knows
// neither the queue that carries it nor who reads it. Each message and record
// carries a version, and a reader refuses a newer one by name. Secrets do not
// marshal: a login travels sealed (package queue).
package job

import (
	"cmp"
	"time"

	"ivdmover/shared/ivd"
)

// Version is the version of every message and record of this package.
const Version = 1

// Kind is what a job is for. Each has its own consumer.
type Kind string

// The kinds of job.
const (
	Backup  Kind = "backup"
	Restore Kind = "restore"
	Verify  Kind = "verify"
)

// Class is a placement class: a set of datastores that the same movers reach by
// the same transports. AnyClass is the one of an estate that is not divided.
type Class string

// AnyClass is the class that every mover serves.
const AnyClass Class = "any"

// Job is the unit on the queue: whole pages of one disk, at most MaxPages.
// Its identity is (Run, Disk, Snapshot, ID); to do it twice does no harm.
type Job struct {
	Version    int          `json:"version"`
	Kind       Kind         `json:"kind"`
	Class      Class        `json:"class"`
	ID         ivd.JobID    `json:"id"`
	Run        ivd.RunID    `json:"run"`
	Lease      ivd.LeaseID  `json:"-"`               // under which it is done, as its record says: a run may outlive a lease; empty where a restore reads without one
	Repository string       `json:"repository"`      // its id; a mover of another repository gives the job back
	Root       ivd.KeyID    `json:"root,omitzero"`   // of an encrypted repository: its root key; zero: the repository is plain
	Disk       Disk         `json:"disk"`            // read from for a backup, written to for a restore; of a verification, which opens none, its item
	Under      ivd.DiskID   `json:"under,omitempty"` // by what its record is found, where the run has another disk of the same id, of another source
	Name       string       `json:"name"`            // the disk's name, for people
	Geometry   ivd.Geometry `json:"geometry"`
	// Identity is that of the disk's PrepareForAccess: a mover that finds its
	// relocation disabled by an earlier run ends that access with it.
	Identity string       `json:"identity,omitempty"`
	Allows   *Allows      `json:"allows,omitempty"` // nil: nothing is known that bears on the transport
	Backup   *BackupSpec  `json:"backup,omitempty"`
	Restore  *RestoreSpec `json:"restore,omitempty"` // of a verification of a point: what is read of it
	Verify   *VerifySpec  `json:"verify,omitempty"`
}

// Key is by what the job's record is found beside run and id: the disk's id, unless the
// run has two disks of that id.
func (j Job) Key() ivd.DiskID { return cmp.Or(j.Under, j.Disk.Ref.ID()) }

// Allows is what the coordinator knows of a disk that bears on the transports it
// can be moved by. What is not known is left out.
type Allows struct {
	DatastoreType string `json:"datastore_type,omitempty"` // as vSphere names it: VMFS, NFS, NFS41, vsan, VVOL
	Encrypted     bool   `json:"encrypted,omitempty"`
	Thin          bool   `json:"thin,omitempty"`
	// Placement: the two lists below say all there is. Where it is false they are
	// not known, and a mover tries what its library offers.
	Placement bool `json:"placement,omitempty"`
	// ProxyVMs are the BIOS UUIDs, in small letters, of the VMs of this vCenter that
	// have a free SCSI slot and see the datastore, and are encrypted where the disk
	// is: who else asks for HotAdd fails.
	ProxyVMs []string `json:"proxy_vms,omitempty"`
	// LUNs are the ids of the LUNs that the datastore lies on, as a mover names them
	// in its heartbeat; none: SAN is not refused for want of one.
	LUNs []string `json:"luns,omitempty"`
}

// MaxPages bounds a job, since a message of NATS ends at 1 MiB.
const MaxPages = 8

// BackupSpec is a backup's part of a disk.
type BackupSpec struct {
	Snapshot ivd.SnapshotID  `json:"snapshot"`
	Parent   *Parent         `json:"parent,omitempty"`
	Pages    []ivd.PageIndex `json:"pages"`           // in order; what this job makes
	Unread   Unread          `json:"unread"`          // what a chunk is that is not read
	Spans    []SpanWork      `json:"spans,omitempty"` // in order; a span that is not named has nothing to read
	// Allocated: the map of what to read is to be had through VDDK only. The mover
	// asks for it, span by span; Spans is empty and Unread is UnreadZero.
	Allocated bool `json:"allocated,omitempty"`
}

// Unread says what the chunks are that a job does not read.
type Unread string

// The two answers.
const (
	UnreadParent Unread = "parent" // as in the parent: they did not change
	UnreadZero   Unread = "zero"   // zeros: they are not allocated
)

// SpanWork is which chunks of a span to read.
type SpanWork struct {
	Span ivd.SpanIndex `json:"span"`
	Read ivd.Bitmap    `json:"read"`
}

// Parent is the restore point that a backup builds on.
type Parent struct {
	Point    ivd.PointID   `json:"point"`
	SealedAt time.Time     `json:"sealed_at,omitzero"` // by the store's clock: when all that it names existed; zero: that is not known
	Geometry ivd.Geometry  `json:"geometry"`
	Pages    []ivd.PageRef `json:"pages"` // those of the job's pages that it has
}

// RestoreSpec is a restore's part of a disk.
type RestoreSpec struct {
	Point ivd.PointID   `json:"point"`
	Pages []ivd.PageRef `json:"pages"` // in order; a page that is all zero is not named
	// Blank: the disk is new and reads as zeros, so zeros need not be written.
	Blank bool `json:"blank"`
	// WithoutLease: the job has no lease, since none can be stored; the point is read
	// all the same, which holds only as long as nobody deletes from the repository.
	WithoutLease bool `json:"without_lease,omitempty"`
}
