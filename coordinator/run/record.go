package run

import (
	"time"

	"ivdmover/coordinator/plan"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Version is that of the records of this package in the state bucket.
const Version = 1

// State is where a run stands.
type State string

// The states of a run.
const (
	Running   State = "running"
	Done      State = "done"      // every disk is done
	Partial   State = "partial"   // some disks failed
	Failed    State = "failed"    // no disk is done, or the run could not begin
	Cancelled State = "cancelled" // on request; disks done before that stay done
)

// Ended tells whether the run is over.
func (s State) Ended() bool { return s != Running }

// Step is where a disk of a run stands. A disk goes through them in order; the
// step is stored before what it names is begun, so that a successor knows what
// may have happened.
type Step string

// The steps.
const (
	Waiting   Step = "waiting"   // for admission
	Preparing Step = "preparing" // backup: access and snapshot; restore: the new disk
	Planning  Step = "planning"  // changed areas, jobs
	Moving    Step = "moving"    // jobs are on the queue
	Closing   Step = "closing"   // backup: the commit; restore: the disk's final name
	Cleaning  Step = "cleaning"  // the snapshot goes, access ends; a failed restore's disk goes
	Ended     Step = "ended"
)

// Run is a run as it is stored and shown.
type Run struct {
	Version  int          `json:"version"`
	ID       ivd.RunID    `json:"id"`
	Kind     job.Kind     `json:"kind"`
	Policy   string       `json:"policy,omitempty"`
	State    State        `json:"state"`
	Created  time.Time    `json:"created"`
	Ended    time.Time    `json:"ended,omitzero"`
	Lease    ivd.LeaseID  `json:"lease"`
	Deadline time.Time    `json:"deadline"`  // of the lease
	Owner    string       `json:"owner"`     // the coordinator that drives it
	OwnerRun string       `json:"owner_run"` // and which of its starts
	Beat     uint64       `json:"beat"`      // counted up by the owner
	Cancel   bool         `json:"cancel,omitempty"`
	Full     bool         `json:"full,omitempty"`
	Failure  *ivd.Failure `json:"failure,omitempty"` // why it could not begin, or what it left out

	Repository string `json:"repository,omitempty"` // its id; who has another one leaves the run alone
}

// Disk is one disk of a run, as it is stored and shown.
type Disk struct {
	Version   int               `json:"version"`
	Run       ivd.RunID         `json:"run"`
	Ref       ivd.DiskRef       `json:"ref"`
	Name      string            `json:"name"`
	Datastore string            `json:"datastore"` // its name
	Metadata  map[string]string `json:"metadata,omitempty"`
	Step      Step              `json:"step"`
	Result    State             `json:"result,omitempty"` // done, failed or cancelled, once the step is ended
	Failure   *ivd.Failure      `json:"failure,omitempty"`
	Attempt   int               `json:"attempt"` // counted before it starts
	Started   time.Time         `json:"started,omitzero"`
	Ended     time.Time         `json:"ended,omitzero"`
	Mode      plan.Mode         `json:"mode,omitempty"`
	Note      string            `json:"note,omitempty"` // for people: why the mode is what it is, and what could not be cleaned up
	Geometry  ivd.Geometry      `json:"geometry,omitzero"`

	// Of a backup.
	CBT      string         `json:"cbt,omitempty"` // what the policy says
	Snapshot ivd.SnapshotID `json:"snapshot,omitempty"`
	ChangeID ivd.ChangeID   `json:"change_id,omitempty"`
	Parent   ivd.PointID    `json:"parent,omitempty"`
	Point    ivd.PointID    `json:"point,omitempty"` // its name, from planning on; committed when the result is done

	// Of a restore.
	From   ivd.PointID `json:"from,omitempty"`
	Target string      `json:"target,omitempty"` // the new disk's final name

	Jobs       []ivd.JobID   `json:"jobs,omitempty"`
	Retries    int           `json:"retries,omitempty"` // of its steps and jobs, after what may pass
	Retried    string        `json:"retried,omitempty"` // why, the last time
	Stats      ivd.Stats     `json:"stats"`
	Transports []string      `json:"transports,omitempty"` // that it was moved by
	Refused    []job.Refusal `json:"refused,omitempty"`    // that movers would have preferred, and why not
}

// View is a run with its disks and their sum, as the API shows it.
type View struct {
	Run
	Disks []DiskView `json:"disks"`
	Stats ivd.Stats  `json:"stats"`
}

// DiskView is a disk with the progress of its jobs that are under way.
type DiskView struct {
	Disk
	Movers []string `json:"movers,omitempty"`
}

// BackupRequest asks for a backup.
type BackupRequest struct {
	All    bool         `json:"all,omitempty"`
	Policy string       `json:"policy,omitempty"`
	Disks  []ivd.DiskID `json:"disks,omitempty"`
	Full   bool         `json:"full,omitempty"` // read all that is allocated, whatever changed
}

// RestoreRequest asks for a point to be restored to a new disk.
type RestoreRequest struct {
	Point     ivd.PointID `json:"point"`
	VCenter   string      `json:"vcenter,omitempty"`   // empty: where the disk was
	Datastore string      `json:"datastore,omitempty"` // by name or id; empty: where the disk was
	Name      string      `json:"name,omitempty"`      // empty: the disk's name with the point's time
}
