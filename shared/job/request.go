package job

import (
	"ivdmover/shared/ivd"
)

// Op is what a coordinator asks one mover to do, by request and reply.
type Op string

// The operations.
const (
	PrepareAccess Op = "prepare" // VixDiskLib_PrepareForAccess, before the snapshot is made
	EndAccess     Op = "end"     // VixDiskLib_EndAccess, after it is deleted, whatever prepare answered
	Inspect       Op = "inspect" // open the snapshot read-only and say what VixDiskLib_GetInfo says
)

// Request asks a mover to call VDDK for a disk, outside of any job. The
// mover asks for the disk's login as it does for a job.
type Request struct {
	Version  int            `json:"version"`
	Op       Op             `json:"op"`
	Run      ivd.RunID      `json:"run"`
	Disk     Disk           `json:"disk"`
	Snapshot ivd.SnapshotID `json:"snapshot,omitempty"` // of Inspect
	Identity string         `json:"identity,omitempty"` // of prepare and end: at most 50 characters, the same in both
	Allows   *Allows        `json:"allows,omitempty"`   // of Inspect
	Warrant  Warrant        `json:"warrant,omitempty"`  // with which the mover asks for the login
}

// Reply is the answer.
type Reply struct {
	Version   int          `json:"version"`
	Failure   *ivd.Failure `json:"failure,omitempty"`
	Capacity  int64        `json:"capacity,omitempty"`  // bytes, of Inspect
	Transport string       `json:"transport,omitempty"` // of Inspect
	Refused   []Refusal    `json:"refused,omitempty"`   // of Inspect
}
