package engine

import (
	"context"
	"time"

	"ivdmover/coordinator/admit"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Workflow is what one kind of run does at each step. Every method is safe to
// repeat: after a restart it is called again for the step that is stored. What a
// method has to remember it saves as the body of its items.
type Workflow interface {
	// Tokens says what must be free for the items to be under way, by what is stored
	// of them; it asks nobody. An error: this coordinator cannot work on them; kind
	// Transient: it may be able to later, and they wait.
	Tokens(items []Item) ([]admit.Token, error)
	// Prepare does what comes before a group's plans: its obligations first, then
	// what they name.
	Prepare(ctx context.Context, g *Group) error
	// Plan makes an item's jobs, the same each time. The engine fills in the run, the
	// lease and the repository.
	Plan(ctx context.Context, g *Group, t *Task) ([]job.Job, error)
	// Finish is called when all jobs of a group are done, with their records. It is
	// not cancelled: what it does may be done already, and is to be seen as done.
	Finish(ctx context.Context, g *Group, done map[ItemKey][]job.Record) error
}

// Guard is a workflow that writes to disks: it looks at the world before a mover
// gets a login to one, since what is stored of the item may be out of date.
type Guard interface {
	// MayOpen refuses the disk of an item that is not, or not any more, to be written
	// to.
	MayOpen(ctx context.Context, it Item) error
}

// Reader is a workflow whose items each read a restore point.
type Reader interface {
	Reads(it Item) (ivd.PointID, error)
}

// PackReader is a Reader of which some items read packs, and no point.
type PackReader interface {
	// ReadsPacks are the data packs whose keys the item's jobs need.
	ReadsPacks(it Item) ([]ivd.PackRef, error)
}

// Keyer is a workflow of which each item is one disk, and has one of a few keys.
type Keyer interface {
	Keys(ref ivd.DiskRef) []ItemKey
}

// Rememberer is a workflow that knows something of runs of which the queue has lost
// all.
type Rememberer interface {
	// LeaseKind is that of its runs.
	LeaseKind() format.LeaseKind
	// Concluded reports whether a run is known to be over, its record or not.
	Concluded(ctx context.Context, run ivd.RunID) (bool, error)
}

// Explainer is a workflow that takes note of what its jobs found out, also where they
// fail, and can say more of why.
type Explainer interface {
	// GoesOn reports whether the item's other jobs are followed to their ends, although it
	// fails with this one: for what they may find out.
	GoesOn(failed job.Record) bool
	// Explain is called with the record of a job that failed and is not tried again; what
	// others of the item have found damaged is in it. It returns the item's failure: the
	// one it is given, or one that says more.
	Explain(ctx context.Context, t *Task, rec job.Record, failure error) error
}

// Concluder is a workflow that does something when all items of a run have ended.
type Concluder interface {
	// Conclude is called with the run as it will be shown. Its error is logged and
	// keeps nothing from ending.
	Conclude(ctx context.Context, v View) error
}

// Sweeper is a workflow that looks now and then for what its runs may have left
// where no ledger says so.
type Sweeper interface {
	Sweep(ctx context.Context, r Records) error
}

// Records tells a sweeper what is known of runs.
type Records interface {
	// RunOver reports whether a run has ended. Kind NotFound: it is not known here.
	RunOver(ctx context.Context, run ivd.RunID) (bool, error)
	// ItemOver reports whether an item is known to have ended, its run or not.
	ItemOver(ctx context.Context, run ivd.RunID, key ItemKey) bool
	// Ended lists the items of this coordinator's runs of a kind that have ended within
	// so much time; within 0: those of all coordinators, whenever that was.
	Ended(ctx context.Context, k Kind, within time.Duration) ([]Item, error)
	// Due reports whether something is due that coordinators which share a queue do for
	// each other, once in a while: from then on it is the asker's to do.
	Due(ctx context.Context, what string, every time.Duration) (bool, error)
}
