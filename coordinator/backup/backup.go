// Package backup is the workflow of a backup: which disks a request means, a
// snapshot with its change id, what to read since which restore point, and the
// commit.
//
// What it promises: a restore point is committed only when all of it is stored and
// adds up; no snapshot of ours outlives its disk's part of a run, since an
// obligation is stored before a snapshot is asked for; EndAccess follows every
// prepare, whatever that had answered; others' snapshots are never touched.
//
// It knows the vCenters and the repository, and nothing of queues, ownership or
// other workflows.
package backup

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ivdmover/coordinator/admit"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/ledger"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/config"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/trust"
)

// Kind is that of its runs.
const Kind engine.Kind = "backup"

// Fleet is the movers: one is asked for what only VDDK can do.
type Fleet interface {
	Ask(ctx context.Context, q job.Request) (job.Reply, error)
	Movers(ctx context.Context) ([]job.Mover, error)
}

// Deps are what the workflow works with. It owns none of them.
type Deps struct {
	Repo     *repo.Repository
	Runs     Runs
	Sources  *inventory.Sources
	Policies []config.Policy
	Ledger   *ledger.Ledger
	Fleet    Fleet
	// SnapshotAge is the age of a snapshot at which its disk's attempt ends, in a
	// source. Where it is 0 snapshots may grow as old as they do. Nil: it is 0.
	SnapshotAge func(ivd.SourceID) time.Duration
	Retention   Retention
	Log         *slog.Logger
}

// Runs stores the records of runs that are over.
type Runs interface {
	PutRun(ctx context.Context, run format.Run) error
}

// Retention gives restore points up at the end of a run.
type Retention interface {
	// AfterRun gives up what a policy does not keep of disks that a run of it has backed
	// up, and tells which points these are; to do it again tells of the same ones. Kind
	// Denied: this coordinator may not.
	AfterRun(ctx context.Context, policy string, run ivd.RunID, disks []catalogue.Disk) ([]ivd.PointID, error)
}

// Workflow backs disks up.
type Workflow struct {
	Deps

	mu      sync.Mutex
	trusted map[ivd.RunID]*trust.Trust // guarded by mu: what points of each may be built on
	warned  map[untold]bool            // guarded by mu

	hangs        hangs
	trackingTime time.Duration
	now          func() time.Time // by which hangs are remembered
}

// New makes the workflow, and has its ledger know how to undo what it does.
func New(d Deps) *Workflow {
	w := &Workflow{
		Deps: d, trusted: map[ivd.RunID]*trust.Trust{}, warned: map[untold]bool{},
		trackingTime: trackingTime, now: time.Now,
	}
	w.register()
	return w
}

// Disk is what a backup keeps of an item, which is one disk.
type Disk struct {
	Ref       ivd.DiskRef    `json:"ref"`
	Name      string         `json:"name"`
	Datastore string         `json:"datastore"`      // its name
	Host      ivd.HostID     `json:"host,omitempty"` // of the machine that it is attached to, when it was listed
	CBT       string         `json:"cbt,omitempty"`  // what the policy says
	Snapshot  ivd.SnapshotID `json:"snapshot,omitempty"`
	SnappedAt time.Time      `json:"snapped_at,omitzero"` // since when there is the snapshot
	ChangeID  ivd.ChangeID   `json:"change_id,omitempty"`
	Untracked string         `json:"untracked,omitempty"` // why vSphere is not asked for changes, where a call about them has failed
	Asked     time.Duration  `json:"asked,omitempty"`     // what calls about tracking have taken, in all
	Facts     *Facts         `json:"facts,omitempty"`     // as they were at the snapshot
	Geometry  ivd.Geometry   `json:"geometry,omitzero"`
	CutAt     int64          `json:"cut_at,omitempty"` // the capacity for which the chunk size was chosen
	Mode      plan.Mode      `json:"mode,omitempty"`
	Since     ivd.ChangeID   `json:"since,omitempty"` // the parent's, where changed areas are read
	Note      string         `json:"note,omitempty"`  // for people: why the mode is what it is
	Parent    ivd.PointID    `json:"parent,omitempty"`
	ParentSum ivd.ContentID  `json:"parent_sum,omitzero"`
	Point     ivd.PointID    `json:"point,omitempty"` // its name, from planning on; committed when the result is done
	PointSum  ivd.ContentID  `json:"point_sum,omitzero"`
	Protected time.Time      `json:"protected,omitzero"` // until when all that the point needs is locked in the store
	SealedAt  time.Time      `json:"sealed_at,omitzero"` // by the store's clock: all that the point names was stored
	Parts     []ivd.PointID  `json:"parts,omitempty"`    // partial points on the way to the point, which it makes needless
}

// Order is what a backup keeps of a run.
type Order struct {
	Policy string `json:"policy,omitempty"`
	Full   bool   `json:"full,omitempty"` // read all that is allocated, whatever changed
}

// LeaseKind is that of its runs.
func (w *Workflow) LeaseKind() format.LeaseKind { return repo.WriteLease }

// Concluded reports whether the repository has a run's summary.
func (w *Workflow) Concluded(ctx context.Context, run ivd.RunID) (bool, error) {
	return w.Repo.HasRun(ctx, run)
}

// Tokens are those of the disks.
func (w *Workflow) Tokens(items []engine.Item) ([]admit.Token, error) {
	return engine.TokensOf(items, func(d Disk) (ivd.DiskRef, ivd.HostID, error) {
		v, err := w.Sources.Of(d.Ref.Source())
		if err != nil {
			return d.Ref, "", err
		}
		return d.Ref, cmp.Or(v.OnlyHost(), d.Host), nil
	})
}

// Keys are those that a disk's item may have: its id or, in a run that has two disks of
// that id, its id and a sign of its source.
func (w *Workflow) Keys(ref ivd.DiskRef) []engine.ItemKey {
	return []engine.ItemKey{engine.ItemKey(ref.ID()), twinKey(ref.Source(), ref.ID())}
}

// Keys are those of the items of a run of these disks.
func Keys(disks []catalogue.Disk) []engine.ItemKey {
	twins := map[ivd.DiskID]int{} // an array that copies a disk copies its id
	for _, d := range disks {
		twins[d.ID]++
	}
	keys := make([]engine.ItemKey, len(disks))
	for i, d := range disks {
		keys[i] = engine.ItemKey(d.ID)
		if twins[d.ID] > 1 {
			keys[i] = twinKey(d.Source, d.ID)
		}
	}
	return keys
}

func twinKey(source ivd.SourceID, disk ivd.DiskID) engine.ItemKey {
	sign := sha256.Sum256([]byte(source))
	return engine.ItemKey(fmt.Sprintf("%s-%x", disk, sign[:4]))
}

// Prepare has the VMs of each disk prepared, and then the snapshots taken, with
// their change ids.
func (w *Workflow) Prepare(ctx context.Context, g *engine.Group) error {
	if err := g.Lasts(ctx); err != nil {
		return err
	}
	tasks, err := w.tasks(g)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if err := t.access(ctx); err != nil {
			return err
		}
	}
	for _, t := range tasks { // together, so that they are of the same moment
		if err := t.snap(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Plan decides once, and stores, what the backup builds on and how it finds out
// what to read; then it makes the jobs.
func (w *Workflow) Plan(ctx context.Context, g *engine.Group, et *engine.Task) ([]job.Job, error) {
	t, err := w.task(g, et)
	if err != nil {
		return nil, err
	}
	parent, err := t.parent(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.decide(ctx, &parent); err != nil {
		return nil, err
	}
	mode, areas, note, err := t.areas(ctx, parent)
	if err != nil {
		return nil, err
	}
	t.disk.Mode, t.disk.Note, t.disk.Since = mode, t.standaloneNote(note), ""
	if mode == plan.Changed {
		t.disk.Since = parent.Tracking.ChangeID
	}
	if err := t.save(ctx); err != nil {
		return nil, err
	}
	template, err := t.template(ctx)
	if err != nil {
		return nil, err
	}
	return plan.Backup(template, plan.Disk{
		Geometry: t.disk.Geometry, Snapshot: t.disk.Snapshot, Mode: mode, Areas: areas, Parent: t.builtOn(parent),
	})
}

// Finish proves that what the jobs have done adds up, and commits the restore
// points, when all of the group's are proven.
func (w *Workflow) Finish(ctx context.Context, g *engine.Group, done map[engine.ItemKey][]job.Record) error {
	tasks, err := w.tasks(g)
	if err != nil {
		return err
	}
	w.retire(ctx, g.Run().ID, done)
	var proven []*task
	for _, t := range tasks {
		committed, err := t.committedBefore(ctx)
		if err != nil {
			return err
		}
		if !committed {
			if err := t.prove(ctx, done[t.Item().Key]); err != nil {
				return err
			}
			proven = append(proven, t)
		}
	}
	for _, t := range proven {
		if err := t.commit(ctx, done[t.Item().Key]); err != nil {
			return err
		}
	}
	for _, t := range tasks {
		t.forgetParts(ctx)
	}
	return nil
}

// task is one disk of a run while the workflow works on it.
type task struct {
	*engine.Task
	w     *Workflow
	g     *engine.Group
	vc    *inventory.VCenter
	disk  Disk
	lease repo.Lease    // under which this step is done
	parts []ivd.PointID // partial points of the disk, while its parent is chosen
	log   *slog.Logger
}

func (w *Workflow) tasks(g *engine.Group) ([]*task, error) {
	tasks := make([]*task, len(g.Tasks))
	for i, et := range g.Tasks {
		t, err := w.task(g, et)
		if err != nil {
			return nil, err
		}
		tasks[i] = t
	}
	return tasks, nil
}

func (w *Workflow) task(g *engine.Group, et *engine.Task) (*task, error) {
	t := &task{Task: et, w: w, g: g, lease: g.Lease(), log: et.Log()}
	if err := et.Item().Decode(&t.disk); err != nil {
		return nil, err
	}
	var err error
	if t.vc, err = w.Sources.Of(t.disk.Ref.Source()); err != nil {
		return nil, err
	}
	t.bound()
	return t, nil
}

// save stores what is known of the disk.
func (t *task) save(ctx context.Context) error { return t.Save(ctx, t.disk) }

// run names the task's run.
func (t *task) run() ivd.RunID { return t.Item().Run }

// template is what all jobs of the disk have in common.
func (t *task) template(ctx context.Context) (job.Job, error) {
	d, err := t.vc.Opens(t.disk.Ref)
	j := job.Job{Kind: job.Backup, Disk: d, Name: t.disk.Name, Identity: identity(t.run(), t.disk.Ref.ID()), Allows: t.allows(ctx)}
	if key := ivd.DiskID(t.Item().Key); key != d.Ref.ID() {
		j.Under = key
	}
	return j, err
}

// allows is what of the disk bears on the transports of the movers there are now.
func (t *task) allows(ctx context.Context) *job.Allows {
	movers, err := t.w.Fleet.Movers(ctx)
	if err != nil {
		t.log.Warn("listing the movers failed: what they can reach the disk by is not known", "err", err)
		return nil
	}
	return t.vc.Allows(ctx, t.disk.Ref, movers)
}
