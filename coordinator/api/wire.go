package api

import (
	"time"

	"ivdmover/coordinator/plan"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// DiskQuery narrows a list of disks.
type DiskQuery struct {
	Datastore   string // its name or its id; empty: every one
	Unprotected bool   // only disks without a restore point
}

// Disk is an IVD of the estate. With a failure it stands for what could not be listed:
// a disk where there is an id, or else all disks of the datastore or of the vCenter.
type Disk struct {
	ID            ivd.DiskID        `json:"id"`
	Name          string            `json:"name"`
	Datastore     string            `json:"datastore"` // its name
	DatastoreID   ivd.DatastoreID   `json:"datastore_id"`
	VCenter       string            `json:"vcenter"` // the configuration's name for it
	Capacity      int64             `json:"capacity"`
	AttachedTo    []string          `json:"attached_to"` // names of VMs
	CBT           bool              `json:"cbt"`
	Thin          bool              `json:"thin"`
	Encrypted     bool              `json:"encrypted"`
	Created       time.Time         `json:"created,omitzero"`
	Metadata      map[string]string `json:"metadata,omitempty"`   // of a container volume: its cluster, namespace, claim
	Unfinished    ivd.RunID         `json:"unfinished,omitempty"` // the restore that makes it, or has left it: no backup takes it
	LastPoint     *ivd.PointID      `json:"last_point"`           // null: not protected
	LastPointTime time.Time         `json:"last_point_time,omitzero"`
	Unsure        *ivd.Failure      `json:"unsure,omitempty"`  // why attached_to may lack some, or their names
	Failure       *ivd.Failure      `json:"failure,omitempty"` // it could not be listed
}

// PointQuery narrows a list of restore points.
type PointQuery struct {
	Disk  string // its id, or a name that no other disk has, of a vCenter as VCENTER/DISK; empty: of all disks
	Check bool   // ask the store for every pack that they need
	All   bool   // those that were given up, too
}

// Point is a restore point.
type Point struct {
	ID          ivd.PointID  `json:"id"`       // its long name
	ShortID     string       `json:"short_id"` // what people type
	Source      ivd.SourceID `json:"source"`   // where the disk lived
	Disk        ivd.DiskID   `json:"disk"`
	Name        string       `json:"name"` // the disk's, at that time
	VCenter     string       `json:"vcenter"`
	Datastore   string       `json:"datastore"`
	Time        time.Time    `json:"time"` // of the snapshot, as vSphere tells it
	SealedAt    time.Time    `json:"sealed_at,omitzero"`
	TimeDoubted bool         `json:"time_doubted,omitempty"` // Time is more than a day from SealedAt, which is gone by instead
	// ProtectedUntil is until when all that it needs is locked in the store; absent: it is not.
	ProtectedUntil time.Time `json:"protected_until,omitzero"`

	Partial     bool         `json:"partial,omitempty"` // only a part of the disk is done; it is not offered for restore
	Consistency string       `json:"consistency,omitempty"`
	Policy      string       `json:"policy,omitempty"`
	Run         ivd.RunID    `json:"run"`
	Mode        plan.Mode    `json:"mode"`
	Capacity    int64        `json:"capacity"`
	ChunkSize   int64        `json:"chunk_size"`
	ReadBytes   int64        `json:"read_bytes"`
	StoredBytes int64        `json:"stored_bytes"`
	Stats       ivd.Stats    `json:"stats"`
	Parent      *ivd.PointID `json:"parent"`            // null: the first of its disk
	Failure     *ivd.Failure `json:"failure,omitempty"` // it is there and cannot be read: only its id, disk and time are known

	Kept      string     `json:"kept,omitempty"`      // by what it stays whatever retention says: a pin, a hold
	Forgotten *Forgotten `json:"forgotten,omitempty"` // a record says that it was given up
	GivenUp   bool       `json:"given_up,omitempty"`  // and nothing keeps it: it is shown on request only, until a collection deletes it

	Damaged   []ivd.PackID `json:"damaged,omitempty"`   // packs that it needs, and that are retired since they are missing or wrong
	Unchecked bool         `json:"unchecked,omitempty"` // packs are retired, and whether it needs one is not known: ask with check
}

// Snapshot is a snapshot in vSphere that this program has made, for whatever repository. With a failure it stands
// for those that could not be listed: of a disk, a datastore or a vCenter.
type Snapshot struct {
	ID          ivd.SnapshotID `json:"id"`
	Disk        ivd.DiskID     `json:"disk"`
	Name        string         `json:"name"` // the disk's
	VCenter     string         `json:"vcenter"`
	Datastore   string         `json:"datastore"`
	Description string         `json:"description"`
	Created     time.Time      `json:"created"`
	AgeSeconds  int64          `json:"age_seconds"`
	Run         ivd.RunID      `json:"run,omitempty"` // that has made it; empty: an examination has
	Ours        bool           `json:"ours"`          // that run was of this repository
	Failure     *ivd.Failure   `json:"failure,omitempty"`
}

// Mover is a mover that lives. With a failure only its name is known.
type Mover struct {
	Name       string       `json:"name"`
	Host       string       `json:"host"`
	Started    time.Time    `json:"started"`
	Handles    int          `json:"handles"` // disks that it opens at once
	Free       int          `json:"free"`    // of these, not in use
	Draining   bool         `json:"draining"`
	VDDK       string       `json:"vddk"`
	Transports []string     `json:"transports"` // in the order in which it tries them
	Active     []job.Active `json:"active"`
	BIOSUUID   string       `json:"bios_uuid,omitempty"`  // of its machine, as vCenter knows it where it is a VM
	LUNs       []string     `json:"luns,omitempty"`       // that its machine sees
	Paths      []Path       `json:"paths,omitempty"`      // how fast each datastore is by each transport, and which of them rest
	Lost       int          `json:"lost,omitempty"`       // handles given up, since a call of theirs hung
	Hangs      bool         `json:"hangs,omitempty"`      // opening a disk hangs in it: it takes nothing new, and ends after what it has begun
	NoRestore  string       `json:"no_restore,omitempty"` // why it takes no restores
	Waits      string       `json:"waits,omitempty"`      // what it waits for before it takes jobs
	Alone      bool         `json:"alone,omitempty"`      // it does one job that took movers down before, and nothing else
	Failure    *ivd.Failure `json:"failure,omitempty"`    // why its heartbeat cannot be read
}

// Shortage says why no mover takes jobs.
type Shortage struct {
	Failure *ivd.Failure `json:"failure"` // null: one does
}

// Path is how a mover fares with a datastore by one transport.
type Path struct {
	job.Path
	VCenter       string `json:"vcenter,omitempty"`        // what the configuration calls the source
	DatastoreName string `json:"datastore_name,omitempty"` // where the coordinator knows it
}

// Repository says what the repository is.
type Repository struct {
	ID            string `json:"id"`
	URL           string `json:"url"` // without secrets
	FormatVersion int    `json:"format_version"`
	ChunkSize     int64  `json:"chunk_size"` // 0: by the disk's capacity
	PackSize      int64  `json:"pack_size"`
	Hash          string `json:"hash"`
	Cipher        string `json:"cipher"`

	Root        ivd.KeyID         `json:"root_key,omitzero"` // the root key's id, of an encrypted repository
	Domain      ivd.DomainID      `json:"domain"`
	Generation  uint64            `json:"generation"`
	Incarnation ivd.IncarnationID `json:"incarnation"`
	Features    Features          `json:"features"`

	Failure *ivd.Failure `json:"failure,omitempty"` // why nothing is written to it

	// Requests are what the coordinator has asked of the store since it started.
	Requests []Requests `json:"requests,omitempty"`

	Collection   *Scheduled `json:"collection,omitempty"`   // where there is a schedule for it
	Verification *Scheduled `json:"verification,omitempty"` // of packs, likewise
}

// Scheduled says how work fares that has a schedule, of which one coordinator does each
// firing.
type Scheduled struct {
	Schedule string     `json:"schedule"` // as cron writes it
	Timezone string     `json:"timezone"`
	Next     *time.Time `json:"next,omitempty"`
	Began    *time.Time `json:"began,omitempty"` // the last time, by whichever coordinator
	Ended    *time.Time `json:"ended,omitempty"`

	Failure   *ivd.Failure `json:"failure,omitempty"`   // of that time
	Hindrance *ivd.Failure `json:"hindrance,omitempty"` // why this coordinator leaves it to others
}

// Requests are what was asked of a store of one kind: put, get, head, list or delete.
type Requests struct {
	Kind     string `json:"kind"`
	Requests int64  `json:"requests"`
	Errors   int64  `json:"errors"`
	Bytes    int64  `json:"bytes"`
}

// Features are what a program must know to do something with the repository.
type Features struct {
	Read    []string `json:"read"`
	Write   []string `json:"write"`
	Collect []string `json:"collect"`
}

// Build says which build of the program answers.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of its source
	Modified bool   `json:"modified,omitempty"` // built from a source that differs from it
	Go       string `json:"go"`
	Platform string `json:"platform"`
	API      int    `json:"api"`
}

// Health is the answer of a server that is ready. Before, it says for what it waits, as
// to every other question: a failure, and the status code 503.
type Health struct {
	Ready bool `json:"ready"`
}

// problem is the body of every answer that is no success.
type problem struct {
	Error *ivd.Failure `json:"error"`
}

// moverOf is a mover's heartbeat for people; names tells what a path's vCenter and datastore are called.
func moverOf(m job.Mover, names func(job.Path) (vcenter, datastore string)) Mover {
	paths := make([]Path, len(m.Paths))
	for i, p := range m.Paths {
		paths[i].Path = p
		paths[i].VCenter, paths[i].DatastoreName = names(p)
	}
	return Mover{
		Name: m.Name, Host: m.Host, Started: m.Started,
		Handles: m.Handles, Free: m.Free, Draining: m.Draining,
		VDDK: m.VDDK, Transports: list(m.Modes), Active: list(m.Active),
		BIOSUUID: m.BIOSUUID, LUNs: m.LUNs, Paths: paths, Lost: m.Lost, Alone: m.Alone, Hangs: m.Hangs, NoRestore: m.NoRestore, Waits: m.Waits,
	}
}

// list makes an empty list of none, since a list is always a JSON array.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
