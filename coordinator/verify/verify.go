// Package verify is the workflow of a verification: restore points are read on the
// movers, as a restore reads them, and nothing is written to any disk.
//
// What it promises: a point counts as whole only where each of its jobs has read all that
// it was to read, and no pack that it needs is retired; what movers find damaged is
// retired only once the coordinator has found it so itself, and the failure says what of
// the disk is lost. It reads under a lease, as a restore does, and goes on after a
// restart from what its jobs have read.
//
// It knows the repository, and no vCenter: a point is verified whose disk, or whose
// vCenter, is gone.
package verify

import (
	"context"
	"log/slog"
	"time"

	"ivdmover/coordinator/admit"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/harm"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// Kind is that of its runs.
const Kind engine.Kind = "verify"

// Fleet is the movers.
type Fleet interface {
	Movers(ctx context.Context) ([]job.Mover, error)
}

// Deps are what the workflow works with. It owns none of them.
type Deps struct {
	Repo      *repo.Repository
	Runs      Runs
	Catalogue *catalogue.Catalogue
	Fleet     Fleet
	NewPacks  time.Duration // within which new packs are to be proven
	Every     time.Duration // within which every pack is to be read again
	Log       *slog.Logger
}

// Runs stores the records of runs that are over.
type Runs interface {
	PutRun(ctx context.Context, run format.Run) error
}

// Workflow verifies restore points.
type Workflow struct{ Deps }

// New makes the workflow.
func New(d Deps) *Workflow { return &Workflow{d} }

// Check is what a verification keeps of an item, which is one point, or some packs.
type Check struct {
	Point    ivd.PointID    `json:"point,omitempty"` // empty: packs
	Name     string         `json:"name"`            // of the disk that the point is of, or what packs these are
	Geometry ivd.Geometry   `json:"geometry"`
	How      job.VerifySpec `json:"how"`
}

// archive stands for the source where jobs name disks: an item reads the repository, and
// is known by its key.
const archive ivd.SourceID = "repository"

// KeyOf is the key of the item that reads a point: the Sum of its long name begins so.
func KeyOf(id ivd.PointID) engine.ItemKey {
	return engine.ItemKey(format.Sum([]byte(id)).String()[:32])
}

// reading is what the jobs of an item have in place of a disk.
func reading(key engine.ItemKey) ivd.DiskRef {
	return ivd.NewDiskRef(archive, "", ivd.DiskID(key))
}

// LeaseKind is that of its runs.
func (w *Workflow) LeaseKind() format.LeaseKind { return repo.ReadLease }

// Concluded reports whether the repository has a run's summary.
func (w *Workflow) Concluded(ctx context.Context, run ivd.RunID) (bool, error) {
	return w.Repo.HasRun(ctx, run)
}

// Reads is the point that an item reads.
func (w *Workflow) Reads(it engine.Item) (ivd.PointID, error) {
	var c Check
	err := it.Decode(&c)
	return c.Point, err
}

// Tokens are a slot of the fleet for each item, and the item itself.
func (w *Workflow) Tokens(items []engine.Item) (tokens []admit.Token, err error) {
	for _, it := range items {
		ref := reading(it.Key)
		tokens = append(tokens, admit.Slot(), admit.Disk(ref.Source(), ref.ID()))
	}
	return tokens, nil
}

// Prepare has nothing to do: no disk is touched.
func (w *Workflow) Prepare(context.Context, *engine.Group) error { return nil }

// Plan reads the point under the run's lease (COLLECT R1), and cuts what is to be read
// into jobs.
func (w *Workflow) Plan(ctx context.Context, g *engine.Group, t *engine.Task) ([]job.Job, error) {
	var c Check
	if err := t.Item().Decode(&c); err != nil {
		return nil, err
	}
	template := job.Job{Disk: job.Disk{Ref: reading(t.Item().Key)}, Name: c.Name}
	if c.Point == "" {
		how := c.How
		if others, err := w.others(ctx, how.Writer); err == nil && !others {
			how.Writer = "" // it need not be waited for any
		}
		template.ID, template.Kind, template.Verify = "j0001", job.Verify, &how
		return []job.Job{template}, nil
	}
	p, err := w.Repo.PointForReading(ctx, g.Lease().ID, c.Point)
	if err != nil {
		return nil, err
	}
	return plan.Verify(template, plan.Target{Point: p.ID, Geometry: p.Geometry, Pages: p.Pages}, c.How)
}

// Finish refuses a point of which a job is not done, or a pack is retired.
func (w *Workflow) Finish(ctx context.Context, g *engine.Group, done map[engine.ItemKey][]job.Record) error {
	for _, t := range g.Tasks {
		it := t.Item()
		if err := engine.AllDone(it.Jobs, done[it.Key]); err != nil {
			return err
		}
		var c Check
		err := it.Decode(&c)
		switch {
		case err != nil:
		case c.Point == "":
			err = w.judge(ctx, t, c, done[it.Key])
		default:
			err = harm.Lost(ctx, w.Repo, c.Point, nil, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// GoesOn is so where a job has found damage: the others look at what they read, so that
// all that the point has lost is known at once.
func (w *Workflow) GoesOn(failed job.Record) bool { return len(failed.Damaged) > 0 }

// Explain has the packs retired that a job has found damaged, and says what of its
// point is lost.
func (w *Workflow) Explain(ctx context.Context, t *engine.Task, rec job.Record, failure error) error {
	point, err := w.Reads(t.Item())
	if err != nil || point == "" {
		return failure
	}
	return harm.Explain(ctx, w.Repo, t.Log(), point, rec, failure)
}

// Conclude stores the run's summary in the repository: what was read when, and how deep.
func (w *Workflow) Conclude(ctx context.Context, v engine.View) error {
	r := v.Record()
	for _, it := range v.Items {
		var c Check
		if it.Decode(&c) != nil { // it has failed for that, and says so: no more than its key is known
			c = Check{}
		}
		if it.Result == engine.Done {
			r.Verified = append(r.Verified, format.RunVerified{
				Point: c.Point, Folder: folderName(c.How.Folder), Name: c.Name, Depth: string(c.How.Depth), Percent: c.How.Percent, Geometry: c.Geometry, Stats: it.Stats,
			})
			continue
		}
		f := it.Lost()
		f.Name, f.Point = c.Name, c.Point
		if c.Point != "" {
			f.Source, f.Disk = c.Point.Source(), c.Point.Disk()
		}
		r.Failed = append(r.Failed, f)
	}
	return w.Runs.PutRun(ctx, r)
}
