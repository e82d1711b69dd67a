package job

import (
	"ivdmover/shared/ivd"
)

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
	// Warrant is for later questions of the same mover for a login to the disk, without a
	// job.
	Warrant Warrant
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
	// Job is what it is for: one that this process has claimed. Empty: what a coordinator
	// has asked for outside of any job, or to release what is left attached; with the
	// warrant for it.
	Job     ivd.JobID `json:"job,omitempty"`
	Warrant Warrant   `json:"warrant,omitempty"`
}
