package job

import (
	"time"

	"ivdmover/shared/ivd"
)

// Mover is a mover's heartbeat.
type Mover struct {
	Version   int       `json:"version"`
	Name      string    `json:"name"`
	Process   string    `json:"process"` // random; a new one after each start
	Host      string    `json:"host"`
	Started   time.Time `json:"started"`
	Beat      uint64    `json:"beat"`       // counts up; liveness is judged by its change, by the observer's clock
	PublicKey []byte    `json:"public_key"` // logins are sealed to it
	VerifyKey []byte    `json:"verify_key"` // the checkpoints of the process's jobs are signed with its other half
	Handles   int       `json:"handles"`    // disks that it opens at once
	Free      int       `json:"free"`       // of these, not in use
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
	// Hangs: opening a disk hangs in it. It takes nothing new, and ends after what it has
	// begun.
	Hangs bool `json:"hangs,omitempty"`
	// NoRestore is why it takes no restores: its library, or every transport that it may
	// use, cannot write. Empty: it takes them.
	NoRestore string `json:"no_restore,omitempty"`
	// Waits is why it takes no jobs yet: what it waits for. Empty: it takes them.
	Waits string `json:"waits,omitempty"`
	// Alone: it does one job that took movers down before, and takes nothing else.
	Alone bool `json:"alone,omitempty"`
	// Ended: this is its last heartbeat: the process has ended, with this error.
	Ended string `json:"ended,omitempty"`
}

// Takes reports whether the mover takes jobs of a kind.
func (m Mover) Takes(k Kind) bool { return k != Restore || m.NoRestore == "" }

// Path is how a mover fares with a datastore by one transport.
type Path struct {
	Source    ivd.SourceID    `json:"source,omitempty"` // since datastores of several may share an id
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
	Kind      Kind       `json:"kind"`
	Transport string     `json:"transport"`
	Stats     ivd.Stats  `json:"stats"`             // of this attempt, batches that are not sealed included
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
	Stats   ivd.Stats  `json:"stats"` // of the attempt so far, beyond the record's
	// Transport in use, as VDDK names it.
	Transport string    `json:"transport"`
	Refused   []Refusal `json:"refused,omitempty"` // the ones that would have been better, and why not
	Rate      int64     `json:"rate,omitempty"`    // bytes a second through VDDK in this attempt
}
