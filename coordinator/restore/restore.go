// Package restore is the workflow of a restore: a new disk under a working name,
// the point's pages written to it, and last the name that was asked for.
//
// What it promises: a disk that still has its working name is unfinished, and is
// removed, whatever dies, since an obligation is stored before the disk is asked
// for; a disk whose restore has ended, by the repository's record, is the user's: it
// gets its final name, and is never touched again. It acts only on what shows its
// claim: what is stored here may be out of date.
//
// It knows the vCenters and the repository, and nothing of queues, ownership or
// other workflows.
package restore

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"ivdmover/coordinator/admit"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/ledger"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// Kind is that of its runs.
const Kind engine.Kind = "restore"

// Fleet is the movers.
type Fleet interface {
	Movers(ctx context.Context) ([]job.Mover, error)
}

// Deps are what the workflow works with. It owns none of them.
type Deps struct {
	Repo    *repo.Repository
	Runs    Runs
	Sources *inventory.Sources
	Ledger  *ledger.Ledger
	Fleet   Fleet
	Log     *slog.Logger
}

// Runs stores the records of runs that are over.
type Runs interface {
	PutRun(ctx context.Context, run format.Run) error
}

// Workflow restores points to new disks.
type Workflow struct {
	Deps
	names *names
}

// New makes the workflow, and has its ledger know how to undo what it does.
func New(d Deps) *Workflow {
	w := &Workflow{Deps: d, names: &names{now: time.Now, of: map[place]*placeNames{}}}
	w.Ledger.Register(madeKind, ledger.Behaviour{Looks: true, Undo: w.undo})
	return w
}

// Disk is what a restore keeps of an item, which is one point. Its key is the disk
// that the point is of.
type Disk struct {
	Ref       ivd.DiskRef  `json:"ref"`       // the new disk, without an id until it is made
	Name      string       `json:"name"`      // of the disk that the point is of
	Datastore string       `json:"datastore"` // its name
	Geometry  ivd.Geometry `json:"geometry"`
	From      ivd.PointID  `json:"from"`
	Target    string       `json:"target"` // the new disk's final name
}

// LeaseKind is that of its runs.
func (w *Workflow) LeaseKind() format.LeaseKind { return repo.ReadLease }

// Concluded reports whether the repository has a run's summary.
func (w *Workflow) Concluded(ctx context.Context, run ivd.RunID) (bool, error) {
	return w.Repo.HasRun(ctx, run)
}

// Reads is the point that an item restores.
func (w *Workflow) Reads(it engine.Item) (ivd.PointID, error) {
	var d Disk
	err := it.Decode(&d)
	return d.From, err
}

// Tokens are those of the new disks.
func (w *Workflow) Tokens(items []engine.Item) ([]admit.Token, error) {
	return engine.TokensOf(items, func(d Disk) (ivd.DiskRef, ivd.HostID, error) {
		v, err := w.Sources.Of(d.Ref.Source())
		if err != nil {
			return d.Ref, "", err
		}
		return d.Ref, v.OnlyHost(), nil
	})
}

// Prepare makes the new disks under their working names, or finds those that were
// made before a restart.
func (w *Workflow) Prepare(ctx context.Context, g *engine.Group) error {
	for _, et := range g.Tasks {
		t, err := w.task(et)
		if err != nil {
			return err
		}
		if err := t.make(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Plan reads the point under the run's lease (COLLECT R1), or without one, and cuts
// what is to be written into jobs.
func (w *Workflow) Plan(ctx context.Context, g *engine.Group, et *engine.Task) ([]job.Job, error) {
	t, err := w.task(et)
	if err != nil {
		return nil, err
	}
	if r, err := t.ended(ctx); err != nil || r != nil {
		return nil, err // there is nothing more to write
	}
	if _, err := t.unfinished(ctx); err != nil {
		return nil, err
	}
	p, err := t.point(ctx, g)
	if err != nil {
		return nil, err
	}
	template, err := t.template(ctx)
	if err != nil {
		return nil, err
	}
	return plan.Restore(template, plan.Target{Point: p.ID, Geometry: p.Geometry, Pages: p.Pages, Blank: true, WithoutLease: !leased(g)})
}

// Finish stores that the restores have ended, and gives the disks their names: from
// now on they are the user's.
func (w *Workflow) Finish(ctx context.Context, g *engine.Group, done map[engine.ItemKey][]job.Record) error {
	for _, et := range g.Tasks {
		t, err := w.task(et)
		if err != nil {
			return err
		}
		if err := t.finish(ctx, leased(g), done[et.Item().Key]); err != nil {
			return err
		}
	}
	return nil
}

// task is one new disk of a run while the workflow works on it.
type task struct {
	*engine.Task
	w    *Workflow
	vc   *inventory.VCenter
	disk Disk
}

func (w *Workflow) task(et *engine.Task) (*task, error) {
	t := &task{Task: et, w: w}
	if err := et.Item().Decode(&t.disk); err != nil {
		return nil, err
	}
	var err error
	t.vc, err = w.Sources.Of(t.disk.Ref.Source())
	return t, err
}

// leased reports whether the run has a lease: it has none where nothing can be
// written to the repository.
func leased(g *engine.Group) bool { return g.Run().LeaseKind != engine.NoLease }

// point is the one that is restored.
func (t *task) point(ctx context.Context, g *engine.Group) (format.Point, error) {
	if !leased(g) {
		return t.w.Repo.OpenPointWithoutLease(ctx, t.disk.From)
	}
	return t.w.Repo.PointForReading(ctx, g.Lease().ID, t.disk.From)
}

// template is what all jobs of the disk have in common.
func (t *task) template(ctx context.Context) (job.Job, error) {
	d, err := t.vc.Opens(t.disk.Ref)
	if err != nil {
		return job.Job{}, err
	}
	j := job.Job{
		Kind: job.Restore, Disk: d, Name: t.disk.Name,
		Identity: fmt.Sprintf("ivdmover-%s-%.8s", t.Item().Run, t.disk.Ref.ID()),
	}
	movers, err := t.w.Fleet.Movers(ctx)
	if err != nil {
		t.Log().Warn("listing the movers failed: what they can reach the disk by is not known", "err", err)
		return j, nil
	}
	j.Allows = t.vc.Allows(ctx, t.disk.Ref, movers)
	return j, nil
}
