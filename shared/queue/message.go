package queue

import (
	"time"

	"ivdmover/shared/ivd"
)

// Version is the version of every message and record of this package. A reader
// refuses a newer one by name.
const Version = 1

// JobKind is what a job is for. Each has its own consumer.
type JobKind string

// The kinds of job.
const (
	Backup  JobKind = "backup"
	Restore JobKind = "restore"
)

// Class is a placement class: a set of datastores that the same movers reach by
// the same transports. AnyClass is the one of an estate that is not divided.
type Class string

// AnyClass is the class that every mover serves.
const AnyClass Class = "any"

// Job is the unit on the queue: whole pages of one disk, at most MaxJobPages.
// Its identity is (Lease, Run, Disk, Snapshot, ID); to do it twice does no harm.
type Job struct {
	Version    int          `json:"version"`
	Kind       JobKind      `json:"kind"`
	Class      Class        `json:"class"`
	ID         ivd.JobID    `json:"id"`
	Run        ivd.RunID    `json:"run"`
	Lease      ivd.LeaseID  `json:"lease"`
	Deadline   time.Time    `json:"deadline"`   // of the lease; a mover takes no job whose lease ends too soon
	Repository string       `json:"repository"` // its id; a mover of another repository gives the job back
	Disk       ivd.DiskRef  `json:"disk"`       // read from for a backup, written to for a restore
	Name       string       `json:"name"`       // the disk's name, for people
	Geometry   ivd.Geometry `json:"geometry"`
	// Identity is that of the disk's PrepareForAccess: a mover that finds its
	// relocation disabled by an earlier run ends that access with it.
	Identity string       `json:"identity,omitempty"`
	Allows   *Allows      `json:"allows,omitempty"` // nil: nothing is known that bears on the transport
	Backup   *BackupSpec  `json:"backup,omitempty"`
	Restore  *RestoreSpec `json:"restore,omitempty"`
}

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

// MaxJobPages bounds a job, since a message of NATS ends at 1 MiB.
const MaxJobPages = 8

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
	Point     ivd.PointID   `json:"point"`
	Committed time.Time     `json:"committed"` // by the store's clock: when all that it names existed
	Geometry  ivd.Geometry  `json:"geometry"`
	Pages     []ivd.PageRef `json:"pages"` // those of the job's pages that it has
}

// RestoreSpec is a restore's part of a disk.
type RestoreSpec struct {
	Point ivd.PointID   `json:"point"`
	Pages []ivd.PageRef `json:"pages"` // in order; a page that is all zero is not named
	// Blank: the disk is new and reads as zeros, so zeros need not be written.
	Blank bool `json:"blank"`
}

// JobState is where a job stands.
type JobState string

// The states. Only a mover sets Running and Done. Queued is set by the coordinator
// for another attempt, and by a mover that hands a job back in order; Failed by a
// mover, and by the coordinator that takes a job away.
const (
	JobQueued  JobState = "queued"
	JobRunning JobState = "running"
	JobDone    JobState = "done"
	JobFailed  JobState = "failed" // this attempt; the coordinator decides about the next
)

// JobRecord is a job's state and its checkpoint in one: everything that outlives
// a mover. It is changed by compare-and-swap only; who loses the race has lost
// the job and drops what it holds.
type JobRecord struct {
	Version  int            `json:"version"`
	ID       ivd.JobID      `json:"id"`
	Run      ivd.RunID      `json:"run"`
	Disk     ivd.DiskID     `json:"disk"`
	Snapshot ivd.SnapshotID `json:"snapshot,omitempty"`
	Lease    ivd.LeaseID    `json:"lease"` // under which the last batch was sealed
	State    JobState       `json:"state"`

	Attempt int    `json:"attempt"`           // counted before an attempt starts
	Lost    int    `json:"lost"`              // attempts in a row that began and neither sealed a batch nor ended
	Mover   string `json:"mover,omitempty"`   // who made the last attempt
	Process string `json:"process,omitempty"` // and which of its processes

	// For people: the transports that its attempts have used, each once, and those
	// that the last one would have preferred, and why not.
	Transports []string  `json:"transports,omitempty"`
	Refused    []Refusal `json:"refused,omitempty"`

	// The checkpoint. Spans before Next are final: those of complete pages are in
	// Pages, those of the page begun are in Nodes or, where Nodes does not name
	// them, are the parent's. Packs behind them are stored.
	Next     ivd.SpanIndex `json:"next"`
	Pages    []ivd.PageRef `json:"pages,omitempty"`
	Nodes    []ivd.NodeRef `json:"nodes,omitempty"`
	Batches  int           `json:"batches"`
	SealedAt time.Time     `json:"sealed_at,omitzero"` // by the store's clock: when the packs of all batches existed

	Stats   Stats        `json:"stats"`
	Failure *ivd.Failure `json:"failure,omitempty"`
}

// Stats counts bytes, of sealed batches only where it is part of a record.
type Stats struct {
	DiskBytes       int64 `json:"disk_bytes"`       // covered, read or not
	ReadBytes       int64 `json:"read_bytes"`       // asked of VDDK
	ZeroBytes       int64 `json:"zero_bytes"`       // read and found zero
	DedupBytes      int64 `json:"dedup_bytes"`      // read and already stored
	NewBytes        int64 `json:"new_bytes"`        // read and stored, before compression
	CompressedBytes int64 `json:"compressed_bytes"` // the same, after compression
	StoredBytes     int64 `json:"stored_bytes"`     // packs of both kinds, all of their bytes
	WrittenBytes    int64 `json:"written_bytes"`    // a restore's writes through VDDK
	Packs           int64 `json:"packs"`            // objects stored
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.DiskBytes += o.DiskBytes
	s.ReadBytes += o.ReadBytes
	s.ZeroBytes += o.ZeroBytes
	s.DedupBytes += o.DedupBytes
	s.NewBytes += o.NewBytes
	s.CompressedBytes += o.CompressedBytes
	s.StoredBytes += o.StoredBytes
	s.WrittenBytes += o.WrittenBytes
	s.Packs += o.Packs
}

// Mover is a mover's heartbeat.
type Mover struct {
	Version   int       `json:"version"`
	Name      string    `json:"name"`
	Process   string    `json:"process"` // random; a new one after each start
	Host      string    `json:"host"`
	Started   time.Time `json:"started"`
	Beat      uint64    `json:"beat"` // counts up; liveness is judged by its change, by the observer's clock
	PublicKey []byte    `json:"public_key"`
	Handles   int       `json:"handles"` // disks that it opens at once
	Free      int       `json:"free"`    // of these, not in use
	Draining  bool      `json:"draining"`
	VDDK      string    `json:"vddk"`       // the library's version
	Modes     []string  `json:"transports"` // the library's transport modes that the configuration allows, in its order
	Active    []Active  `json:"active"`

	// What placement needs and only the host knows.
	BIOSUUID string   `json:"bios_uuid,omitempty"` // of the machine, in small letters, as vCenter names a VM's config.uuid
	LUNs     []string `json:"luns,omitempty"`      // ids of the SCSI disks that it sees: "naa.6000…", "eui.…", "t10.…"
	Paths    []Path   `json:"paths,omitempty"`     // what was found out about reaching datastores
	Lost     int      `json:"lost,omitempty"`      // handles given up since this process started, since a call of theirs hung
	LostKeep int64    `json:"lost_keep,omitempty"` // bytes of buffers that stay theirs
	// Doctor: it tries how its host reaches a disk, and takes neither jobs nor requests.
	Doctor bool `json:"doctor,omitempty"`
	// Alone: it does one job that took movers down before, and takes nothing else.
	Alone bool `json:"alone,omitempty"`
}

// Path is how a mover fares with a datastore by one transport.
type Path struct {
	VCenter   string          `json:"vcenter,omitempty"` // the configuration's name for it, since datastores of several may share an id
	Datastore ivd.DatastoreID `json:"datastore"`
	Transport string          `json:"transport"`
	ReadRate  int64           `json:"read_rate,omitempty"`  // bytes a second while reading through one handle, over its last jobs
	WriteRate int64           `json:"write_rate,omitempty"` // likewise, writing
	// Until when it is not tried, after it failed, and why.
	CoolUntil time.Time `json:"cool_until,omitzero"`
	Reason    string    `json:"reason,omitempty"`
}

// Refusal is a transport that a disk is not moved by, and why.
type Refusal struct {
	Transport string `json:"transport"`
	Reason    string `json:"reason"`
}

// Active is what a mover does now.
type Active struct {
	Run       ivd.RunID  `json:"run"`
	Disk      ivd.DiskID `json:"disk"`
	Name      string     `json:"name"`
	Job       ivd.JobID  `json:"job"`
	Kind      JobKind    `json:"kind"`
	Transport string     `json:"transport"`
	Stats     Stats      `json:"stats"`             // of this attempt, batches that are not sealed included
	Refused   []Refusal  `json:"refused,omitempty"` // transports before Transport in the mover's order
	Rate      int64      `json:"rate,omitempty"`    // bytes a second through VDDK in this attempt
}

// Progress is said over a plain subject now and then; nothing depends on it.
type Progress struct {
	Version int        `json:"version"`
	Run     ivd.RunID  `json:"run"`
	Disk    ivd.DiskID `json:"disk"`
	Job     ivd.JobID  `json:"job"`
	Mover   string     `json:"mover"`
	Stats   Stats      `json:"stats"` // of the attempt so far, beyond the record's
	// Transport in use, as VDDK names it.
	Transport string    `json:"transport"`
	Refused   []Refusal `json:"refused,omitempty"` // the ones that would have been better, and why not
	Rate      int64     `json:"rate,omitempty"`    // bytes a second through VDDK in this attempt
}

// Login is a session with a vCenter that a mover uses for one disk. It travels
// sealed to the key in the mover's heartbeat, and is never stored.
type Login struct {
	Server     string // host name or address
	Port       int    // of the vSphere API
	NFCPort    int    // of the hosts' data port; 0 is VDDK's own default
	User       string
	Password   ivd.Secret // one of the two: a password,
	Cookie     ivd.Secret // or a live session's cookie
	Thumbprint string     // SHA-1, "AA:BB:…"
	// Allows is what bears on the transports for the mover that asked, now: a job's
	// was written when its run was planned, for the movers there were. nil: not known.
	Allows *Allows
}

// LoginRequest is a mover's question for a login.
type LoginRequest struct {
	Version int         `json:"version"`
	Mover   string      `json:"mover"`
	Process string      `json:"process"`
	Run     ivd.RunID   `json:"run"`
	Disk    ivd.DiskRef `json:"disk"`
}

// MoverOp is what a coordinator asks one mover to do, by request and reply.
type MoverOp string

// The operations.
const (
	PrepareAccess MoverOp = "prepare" // VixDiskLib_PrepareForAccess, before the snapshot is made
	EndAccess     MoverOp = "end"     // VixDiskLib_EndAccess, after it is deleted, whatever prepare answered
	Inspect       MoverOp = "inspect" // open the snapshot read-only and say what VixDiskLib_GetInfo says
)

// MoverRequest asks a mover to call VDDK for a disk, outside of any job. The
// mover asks for the disk's login as it does for a job.
type MoverRequest struct {
	Version  int            `json:"version"`
	Op       MoverOp        `json:"op"`
	Run      ivd.RunID      `json:"run"`
	Disk     ivd.DiskRef    `json:"disk"`
	Snapshot ivd.SnapshotID `json:"snapshot,omitempty"` // of Inspect
	Identity string         `json:"identity,omitempty"` // of prepare and end: at most 50 characters, the same in both
	Allows   *Allows        `json:"allows,omitempty"`   // of Inspect
}

// MoverReply is the answer.
type MoverReply struct {
	Version   int          `json:"version"`
	Failure   *ivd.Failure `json:"failure,omitempty"`
	Capacity  int64        `json:"capacity,omitempty"`  // bytes, of Inspect
	Transport string       `json:"transport,omitempty"` // of Inspect
	Refused   []Refusal    `json:"refused,omitempty"`   // of Inspect
}
