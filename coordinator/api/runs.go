package api

import (
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// State is where a run stands, or what became of one of its disks.
type State string

// The states.
const (
	Running   State = "running"
	Done      State = "done"      // every disk is done
	Partial   State = "partial"   // some disks are not done
	Failed    State = "failed"    // no disk is done
	Cancelled State = "cancelled" // on request; disks done before that stay done
)

// Ended reports whether a run in this state is over.
func (s State) Ended() bool { return s != Running }

// Run is one execution of a policy or a command, without its disks. Of one that is
// unread only its id is known, which begins with its time.
type Run struct {
	ID         ivd.RunID    `json:"id"`
	Kind       job.Kind     `json:"kind"`
	Policy     string       `json:"policy,omitempty"`
	State      State        `json:"state"`
	Created    time.Time    `json:"created"`
	Ended      time.Time    `json:"ended,omitzero"`
	Owner      string       `json:"owner"`                // the coordinator that drives it
	Cancelling bool         `json:"cancelling,omitempty"` // its end was asked for
	Waiting    string       `json:"waiting,omitempty"`    // for what, while none of its disks can go on
	Full       bool         `json:"full,omitempty"`       // all that is allocated is read
	Failure    *ivd.Failure `json:"failure,omitempty"`    // why it could not begin, or what it left out
	Counts     Counts       `json:"counts"`
	Stats      ivd.Stats    `json:"stats"`            // of all its disks
	Unread     *ivd.Failure `json:"unread,omitempty"` // why its record cannot be read

	// Of one run that is over, and not in a list:
	Forgotten    []ivd.PointID `json:"forgotten,omitempty"`     // points that were given up at its end, by its policy
	NotForgotten string        `json:"not_forgotten,omitempty"` // why that was not done, or not all of it
}

// Counts are a run's disks by where they stand.
type Counts struct {
	Disks     int `json:"disks"`
	Waiting   int `json:"waiting"`
	Working   int `json:"working"`
	Done      int `json:"done"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
}

// Steps that mean something to whoever shows a disk of a run; others lie between.
const (
	Waiting = "waiting" // for its turn
	Moving  = "moving"  // its blocks
	Ended   = "ended"
)

// RunDisk is one disk of a run. Of a restore it is the new disk, of a verification one
// point of the disk. Of one that is unread
// only its key is known.
type RunDisk struct {
	Key         string          `json:"key"`          // its name within the run
	ID          ivd.DiskID      `json:"id,omitempty"` // empty until a restore has made it
	Name        string          `json:"name"`
	VCenter     string          `json:"vcenter"` // what the configuration calls it
	Datastore   string          `json:"datastore"`
	DatastoreID ivd.DatastoreID `json:"datastore_id"`
	Step        string          `json:"step"`
	Result      State           `json:"result,omitempty"` // done, failed or cancelled, once the step is ended
	Failure     *ivd.Failure    `json:"failure,omitempty"`
	Started     time.Time       `json:"started,omitzero"`
	Ended       time.Time       `json:"ended,omitzero"`
	Capacity    int64           `json:"capacity"` // 0: not known yet
	ChunkSize   int64           `json:"chunk_size,omitempty"`

	Mode   string      `json:"mode,omitempty"` // of a backup: how it was found out what to read
	Note   string      `json:"note,omitempty"` // why so, and what could not be cleaned up
	Parent ivd.PointID `json:"parent,omitempty"`
	Point  ivd.PointID `json:"point,omitempty"` // of a backup; it exists when the result is done

	Depth   job.Depth `json:"depth,omitempty"` // of a verification
	Percent int       `json:"percent,omitempty"`

	From   ivd.PointID `json:"from,omitempty"`   // of a restore or a verification: what is read
	Target string      `json:"target,omitempty"` // the new disk's final name

	Retries    int           `json:"retries,omitempty"`
	Retried    string        `json:"retried,omitempty"` // why, the last time
	Stats      ivd.Stats     `json:"stats"`
	Transports []string      `json:"transports,omitempty"` // that it was moved by
	Refused    []job.Refusal `json:"refused,omitempty"`    // transports that movers would have preferred, and why not
	Movers     []string      `json:"movers,omitempty"`     // at work on it now
	Waiting    string        `json:"waiting,omitempty"`    // for what, before it may go on
	Unread     *ivd.Failure  `json:"unread,omitempty"`     // why its record cannot be read
}

// RunDetail is a run with its disks.
type RunDetail struct {
	Run
	Disks []RunDisk `json:"disks"`
}

// Change is a run as it is now, with those of its disks that are not as in the
// change before; the first one has them all.
type Change struct {
	Run   Run
	Disks []RunDisk
}

// BackupRequest asks for a backup of all disks, of those of a policy, or of some that
// are named: exactly one of the three.
type BackupRequest struct {
	All     bool     `json:"all,omitempty"`
	Policy  string   `json:"policy,omitempty"`
	Disks   []string `json:"disks,omitempty"`   // each by its id, the beginning of one, or a name that no other disk has; of a vCenter as VCENTER/DISK
	VCenter string   `json:"vcenter,omitempty"` // only its disks, by its name in the configuration; empty: of any
	Full    bool     `json:"full,omitempty"`    // read all that is allocated, whatever changed
}

// VerifyRequest asks for restore points to be read and checked: all that are offered for
// restore, those of a policy, those of a disk, or some that are named; or for packs: exactly
// one of the five.
type VerifyRequest struct {
	All     bool          `json:"all,omitempty"`
	Policy  string        `json:"policy,omitempty"`
	Disk    string        `json:"disk,omitempty"` // by its id or its name; of a vCenter as VCENTER/DISK
	Points  []ivd.PointID `json:"points,omitempty"`
	Packs   string        `json:"packs,omitempty"`   // in place of points: "new", "due" or "all"
	Depth   job.Depth     `json:"depth,omitempty"`   // of points
	Percent int           `json:"percent,omitempty"` // of a sample
}

// RestoreRequest asks for a point to be restored to a new disk.
type RestoreRequest struct {
	Point     ivd.PointID `json:"point"`
	VCenter   string      `json:"vcenter,omitempty"`   // by its name in the configuration; empty: where the disk was
	Datastore string      `json:"datastore,omitempty"` // by name or id; empty: where the disk was
	Name      string      `json:"name,omitempty"`      // empty: the disk's name with the point's time
	NoLease   bool        `json:"no_lease,omitempty"`  // read without a lease: holds only as long as nobody collects from the repository
}
