package job

import "ivdmover/shared/ivd"

// GrantRequest is a mover's question for the keys that movers have of an encrypted
// repository. The answer travels sealed, and is never stored.
type GrantRequest struct {
	Version    int    `json:"version"`
	Mover      string `json:"mover"`
	Process    string `json:"process"`
	Repository string `json:"repository"` // its id
}

// Claim names a job that the process which asks has claimed.
type Claim struct {
	Mover   string      `json:"mover"`
	Process string      `json:"process"`
	Run     ivd.RunID   `json:"run"`
	Disk    ivd.DiskRef `json:"disk"`
	Job     ivd.JobID   `json:"job"`
}

// Login is the question for a login for the job.
func (c Claim) Login() LoginRequest {
	return LoginRequest{Version: Version, Mover: c.Mover, Process: c.Process, Run: c.Run, Disk: c.Disk, Job: c.Job}
}

// WriterRequest is a mover's question to sign and store the record of a writer, whose
// packs are then those of this mover's process. To ask again is harmless.
type WriterRequest struct {
	Version    int    `json:"version"`
	Repository string `json:"repository"`
	Claim      Claim  `json:"claim"`  // for which it writes, under the writer's lease
	Record     []byte `json:"record"` // in the clear
}

// PackKeysRequest is a mover's question for the keys of data packs that a restore reads.
// The answer travels sealed, and is never stored.
type PackKeysRequest struct {
	Version    int           `json:"version"`
	Repository string        `json:"repository"`
	Claim      Claim         `json:"claim"` // a restore's
	Page       ivd.PageIndex `json:"page"`  // of the job's point, which needs the packs
	Packs      []ivd.PackRef `json:"packs"` // 1 to MaxPackKeys
}

// MaxPackKeys bounds what is asked for at once.
const MaxPackKeys = 256

// PackKey is the key of one data pack's chunks. It travels sealed.
type PackKey struct {
	DataKey ivd.KeyID // what its writer's frame key is sealed to
	Key     ivd.Key
}
