package job

import (
	"time"

	"ivdmover/shared/ivd"
)

// State is where a job stands.
type State string

// The states. Only a mover sets Running and Done. Queued is set by the coordinator
// for another attempt, and by a mover that hands a job back in order; Failed by a
// mover, and by the coordinator that takes a job away.
const (
	Queued  State = "queued"
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed" // this attempt; the coordinator decides about the next
)

// Unable is a mover that lacks what a job needs.
type Unable struct {
	Mover   string `json:"mover"`
	Process string `json:"process"` // the mover's next one may be able
	Reason  string `json:"reason"`
}

// Record is a job's state and its checkpoint in one: everything that outlives
// a mover. It is changed by compare-and-swap only; who loses the race has lost
// the job and drops what it holds.
type Record struct {
	Version  int            `json:"version"`
	ID       ivd.JobID      `json:"id"`
	Run      ivd.RunID      `json:"run"`
	Disk     ivd.DiskID     `json:"disk"`
	Snapshot ivd.SnapshotID `json:"snapshot,omitempty"`
	// Lease is the run's, under which the job goes on. The coordinator changes it, also
	// while a mover has the job: that one seals its batch, and hands the job back.
	Lease       ivd.LeaseID `json:"lease"`
	SealedUnder ivd.LeaseID `json:"sealed_under,omitempty"` // the lease of the last batch
	// Incarnation of the repository in which it was sealed: SealedAt counts in no other.
	Incarnation ivd.IncarnationID `json:"incarnation,omitempty"`
	State       State             `json:"state"`

	Attempt int    `json:"attempt"`           // counted before an attempt starts
	Lost    int    `json:"lost"`              // attempts in a row that began and neither sealed a batch nor ended
	Mover   string `json:"mover,omitempty"`   // who made the last attempt
	Process string `json:"process,omitempty"` // and which of its processes

	// Holder is the mover of an attempt before, which never said that it ended, or of
	// which a call of VDDK was given up: its process may hold the disk still. A disk that
	// is locked then is waited for.
	Holder string `json:"holder,omitempty"`

	// Unable are the movers that have found that they cannot do the job, and another one
	// may: none of them takes it again.
	Unable []Unable `json:"unable,omitempty"`

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
	Seal     *Seal         `json:"seal,omitempty"`     // who vouches for it; nil before the first batch

	// Damaged are packs that its attempts have found damaged, each once and read whole
	// before it was said: the coordinator looks for itself, and retires them.
	Damaged []ivd.Damage `json:"damaged,omitempty"`
	// Unread is of how much of the disk, in bytes, a job that has found damage has not
	// looked whether there is more.
	Unread int64 `json:"unread,omitempty"`

	// Unproven are the packs of a proof that are not proven, for whatever reason.
	Unproven []ivd.PackID `json:"unproven,omitempty"`

	Stats   ivd.Stats    `json:"stats"`
	Failure *ivd.Failure `json:"failure,omitempty"`
}

// CannotBy reports whether a mover's process has found that it cannot do the job.
func (r Record) CannotBy(mover, process string) bool {
	for _, u := range r.Unable {
		if u.Mover == mover && u.Process == process {
			return true
		}
	}
	return false
}
