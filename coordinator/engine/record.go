package engine

import (
	"encoding/json"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Version is that of the records of this package in the state bucket.
const Version = 1

// Kind is what a run does. Each is one workflow's.
type Kind string

// State is where a run stands, or what became of an item.
type State string

// The states of a run.
const (
	Running   State = "running"
	Done      State = "done"      // every item is done
	Partial   State = "partial"   // some items failed
	Failed    State = "failed"    // no item is done, or the run could not begin
	Cancelled State = "cancelled" // on request; items done before that stay done
)

// Ended reports whether the run is over.
func (s State) Ended() bool { return s != Running }

// Step is where an item of a run stands. An item goes through them in order; the
// step is stored before what it names is begun, so that a successor knows what
// may have happened.
type Step string

// The steps.
const (
	Waiting   Step = "waiting"   // for admission
	Preparing Step = "preparing" // obligations, and what they name
	Planning  Step = "planning"  // jobs are made
	Moving    Step = "moving"    // jobs are on the queue
	Closing   Step = "closing"   // what makes the item's work count
	Cleaning  Step = "cleaning"  // obligations are undone
	Ended     Step = "ended"
)

// order is how far a step is.
var order = map[Step]int{Waiting: 0, Preparing: 1, Planning: 2, Moving: 3, Closing: 4, Cleaning: 5, Ended: 6}

// Run is a run as it is stored, small whatever the number of its items.
type Run struct {
	Version   int              `json:"version"`
	ID        ivd.RunID        `json:"id"`
	Kind      Kind             `json:"kind"`
	State     State            `json:"state"`
	Created   time.Time        `json:"created"`
	Ended     time.Time        `json:"ended,omitzero"`
	Urgent    bool             `json:"urgent,omitempty"` // admitted before others
	LeaseKind format.LeaseKind `json:"lease_kind"`
	Lease     ivd.LeaseID      `json:"lease"`
	Deadline  time.Time        `json:"deadline"`  // of the lease
	Owner     string           `json:"owner"`     // the coordinator that drives it
	OwnerRun  string           `json:"owner_run"` // and which of its starts
	Beat      uint64           `json:"beat"`      // counted up by the owner
	Cancel    bool             `json:"cancel,omitempty"`
	Failure   *ivd.Failure     `json:"failure,omitempty"` // why it could not begin, or what it left out
	Counts    Counts           `json:"counts"`
	Stats     ivd.Stats        `json:"stats"`          // of all its items; both are as of the latest beat
	Body      json.RawMessage  `json:"body,omitempty"` // the workflow's own

	Repository string `json:"repository,omitempty"` // its id; who has another one leaves the run alone
	Waiting    string `json:"waiting,omitempty"`    // for what, while nothing of it can go on; as of the latest beat
}

// Decode reads the body.
func (r Run) Decode(v any) error {
	if err := json.Unmarshal(r.Body, v); err != nil {
		return &ivd.Error{Kind: ivd.Corrupt, Op: "run " + string(r.ID), Err: err}
	}
	return nil
}

// Counts are a run's items by what became of them.
type Counts struct {
	Items     int `json:"items"`
	Waiting   int `json:"waiting"` // for admission
	Done      int `json:"done"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
	Left      int `json:"left,omitempty"` // ended with something that could not be undone yet, among the others
}

// Add counts an item.
func (c *Counts) Add(it Item) { c.add(it, 1) }

// remove takes an item back that was counted as it is.
func (c *Counts) remove(it Item) { c.add(it, -1) }

func (c *Counts) add(it Item, n int) {
	c.Items += n
	if it.Pending != "" {
		c.Left += n
	}
	switch {
	case it.Step == Waiting:
		c.Waiting += n
	case it.Step != Ended:
	case it.Result == Done:
		c.Done += n
	case it.Result == Cancelled:
		c.Cancelled += n
	default:
		c.Failed += n
	}
}

// Working is how many items are neither waiting nor over.
func (c Counts) Working() int { return c.Items - c.Waiting - c.Done - c.Failed - c.Cancelled }

// ItemKey names an item within its run.
type ItemKey string

// GroupKey names a group within its run.
type GroupKey string

// Item is one thing that a run works on, as it is stored.
type Item struct {
	Version    int             `json:"version"`
	Run        ivd.RunID       `json:"run"`
	Key        ItemKey         `json:"key"`
	Group      GroupKey        `json:"group,omitempty"` // empty: it is a group by itself
	Step       Step            `json:"step"`
	Result     State           `json:"result,omitempty"` // done, failed or cancelled, from cleaning on
	Failure    *ivd.Failure    `json:"failure,omitempty"`
	Attempt    int             `json:"attempt"` // counted before it starts
	Started    time.Time       `json:"started,omitzero"`
	Ended      time.Time       `json:"ended,omitzero"`
	Disk       ivd.DiskID      `json:"disk,omitempty"` // of its jobs
	Jobs       []ivd.JobID     `json:"jobs,omitempty"`
	Plan       string          `json:"plan,omitempty"`    // names what is kept beside the body
	Retries    int             `json:"retries,omitempty"` // of its steps and jobs, after what may pass
	Retried    string          `json:"retried,omitempty"` // why, the last time
	Stats      ivd.Stats       `json:"stats"`
	Transports []string        `json:"transports,omitempty"` // that it was moved by
	Refused    []job.Refusal   `json:"refused,omitempty"`    // that movers would have preferred, and why not
	Pending    string          `json:"pending,omitempty"`    // what could not be cleaned up when it ended
	Body       json.RawMessage `json:"body,omitempty"`       // the workflow's own
}

// Decode reads the body.
func (it Item) Decode(v any) error {
	if err := json.Unmarshal(it.Body, v); err != nil {
		return &ivd.Error{Kind: ivd.Corrupt, Op: "item " + string(it.Key) + " of run " + string(it.Run), Err: err}
	}
	return nil
}

// group is the group that the item is of.
func (it Item) group() GroupKey {
	if it.Group == "" {
		return GroupKey(it.Key)
	}
	return it.Group
}
