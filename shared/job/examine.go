package job

import (
	"time"

	"ivdmover/shared/ivd"
)

// ExamineOp is what a doctor asks of the coordinators.
type ExamineOp string

// The operations.
const (
	ExamineBegin ExamineOp = "begin" // find the disk, make a snapshot to read from, give a login
	ExamineEnd   ExamineOp = "end"   // delete that snapshot
)

// ExamineRequest is the question of a doctor: a process that tries how its host
// reaches one disk. It has a heartbeat like a mover's, and takes no work.
type ExamineRequest struct {
	Version  int            `json:"version"`
	Op       ExamineOp      `json:"op"`
	Doctor   string         `json:"doctor"`             // the name in its heartbeat
	Process  string         `json:"process"`            // a UUID, the heartbeat's; it names the examination
	Disk     string         `json:"disk"`               // a UUID, the beginning of one, or a name. To end: the UUID
	Snapshot ivd.SnapshotID `json:"snapshot,omitempty"` // one that is there to be read; empty: one is made
}

// Examination is what a coordinator answers to ExamineBegin: the disk as vSphere
// tells of it, where to read it, and for how long.
type Examination struct {
	Run         ivd.RunID      `json:"run"` // by which ledger and snapshot know it; it is no run
	Disk        Disk           `json:"disk"`
	Name        string         `json:"name"`
	Datastore   string         `json:"datastore"` // its name
	Capacity    int64          `json:"capacity"`  // bytes, in whole MiB
	AttachedTo  []string       `json:"attached_to,omitempty"`
	Snapshot    ivd.SnapshotID `json:"snapshot"`
	Made        bool           `json:"made,omitempty"`    // the snapshot is the examination's own
	Deadline    time.Time      `json:"deadline,omitzero"` // then that snapshot is deleted at the latest
	VCenter     string         `json:"vcenter"`           // its name in the configuration, and its version
	Coordinator string         `json:"coordinator"`       // who answers, for people
	Login       Login          `json:"-"`                 // it travels sealed
}
