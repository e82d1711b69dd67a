package serve

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/restore"
	"ivdmover/coordinator/verify"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/keys"
)

// runs shows runs as the API has them.
type runs struct {
	house   *house
	sources *inventory.Sources
	past    *summaries
	label   func(ivd.SourceID) string // what a source is called here
}

// StartBackup begins a backup.
func (r *runs) StartBackup(ctx context.Context, q api.BackupRequest) (api.Run, error) {
	disks, err := r.asked(ctx, q)
	if err != nil {
		return api.Run{}, err
	}
	s, err := r.house.backup.Run(ctx, backup.Request{All: q.All, Policy: q.Policy, Disks: disks, VCenter: q.VCenter, Full: q.Full})
	return r.begin(ctx, s, err)
}

// asked are the disks that a request names. One that is named by its id alone may be of
// any vCenter, and is not looked for here: the backup does.
func (r *runs) asked(ctx context.Context, q api.BackupRequest) ([]catalogue.Disk, error) {
	only, err := r.sources.Only(q.VCenter)
	if err != nil {
		return nil, err
	}
	disks := make([]catalogue.Disk, len(q.Disks))
	for i, text := range q.Disks {
		in, rest, err := r.sources.In(text)
		if err != nil {
			return nil, err
		}
		in = in.And(only)
		if len(in.All()) == 0 {
			return nil, &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("disk %s is not in vCenter %s", text, q.VCenter), Remedy: "leave --vcenter out, or name the same vCenter"}
		}
		if id, err := ivd.ParseDiskID(rest); err == nil {
			disks[i] = catalogue.Disk{Source: in.Alone(), ID: id}
			continue
		}
		_, d, err := in.Meant(ctx, rest)
		if err != nil {
			return nil, err
		}
		disks[i] = catalogue.Disk{Source: d.Ref.Source(), ID: d.Ref.ID()}
	}
	return disks, nil
}

// StartRestore begins a restore.
func (r *runs) StartRestore(ctx context.Context, q api.RestoreRequest) (api.Run, error) {
	s, err := r.house.restore.Run(ctx, restore.Request(q))
	if err != nil {
		return api.Run{}, err
	}
	v, err := r.begin(ctx, s, nil)
	if ivd.KindOf(err) == ivd.Denied && !q.NoLease && !errors.Is(err, keys.ErrRemoved) {
		err = &ivd.Error{Kind: ivd.Denied, Err: err, Remedy: "if nobody collects from the repository meanwhile, restore with --no-lease"}
	}
	return v, err
}

// StartVerify begins a verification.
func (r *runs) StartVerify(ctx context.Context, q api.VerifyRequest) (api.Run, error) {
	if q.Packs != "" {
		s, err := r.house.verify.Run(ctx, verify.Request{Packs: verify.Packs(q.Packs)})
		return r.begin(ctx, s, err)
	}
	points, err := r.pointsOf(ctx, q)
	if err != nil {
		return api.Run{}, err
	}
	s, err := r.house.verify.Run(ctx, verify.Request{Points: points, How: job.VerifySpec{Depth: q.Depth, Percent: q.Percent}})
	return r.begin(ctx, s, err)
}

// pointsOf are those that a request means. One that is not named is left out where it is
// not offered for restore.
func (r *runs) pointsOf(ctx context.Context, q api.VerifyRequest) ([]ivd.PointID, error) {
	if len(q.Points) > 0 {
		return q.Points, nil
	}
	var known []catalogue.Point
	var err error
	if q.Disk != "" {
		known, err = r.house.points.OfDisk(ctx, q.Disk, r.label, false)
	} else {
		known, err = r.house.points.Points(ctx, catalogue.Disk{})
	}
	if err != nil {
		return nil, err
	}
	var points []ivd.PointID
	for _, p := range known {
		switch {
		case p.Failure != nil: // one that cannot be read is the gravest of all
			return nil, fmt.Errorf("restore point %s: %w", p.Short, p.Failure.Err())
		case p.Offered() && (q.Policy == "" || p.Policy == q.Policy):
			points = append(points, p.ID)
		}
	}
	if len(points) == 0 && q.Policy != "" {
		return nil, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("there is no restore point of policy %s", q.Policy), Remedy: "`ivd points` shows the policy of each"}
	}
	return points, nil
}

func (r *runs) begin(ctx context.Context, s engine.Spec, err error) (api.Run, error) {
	if err != nil {
		return api.Run{}, err
	}
	if err := r.house.serving(ctx); err != nil {
		return api.Run{}, err
	}
	v, err := r.house.engine.Begin(ctx, s)
	return r.run(v.Run), err
}

// Cancel asks for a run's end.
func (r *runs) Cancel(ctx context.Context, id ivd.RunID) error { return r.house.engine.Cancel(ctx, id) }

// Run is one run.
func (r *runs) Run(ctx context.Context, id ivd.RunID) (api.Run, error) {
	run, err := r.house.engine.Run(ctx, id)
	if ivd.KindOf(err) == ivd.NotFound {
		if past, pastErr := r.past.run(ctx, id); ivd.KindOf(pastErr) != ivd.NotFound {
			out := runOfSummary(past)
			out.Forgotten, out.NotForgotten = past.Forgotten, past.NotForgotten
			return out, pastErr
		}
	}
	out := r.run(run)
	if err == nil && run.State.Ended() && run.Kind == backup.Kind {
		if past, err := r.past.run(ctx, id); err == nil { // else it has none, or none yet
			out.Forgotten, out.NotForgotten = past.Forgotten, past.NotForgotten
		}
	}
	return out, err
}

// Runs are the newest, the newest first: those that are kept, and those that only the
// repository knows any more. One whose record cannot be read is shown as the
// repository knows it, or is named.
func (r *runs) Runs(ctx context.Context) ([]api.Run, error) {
	kept, unread, err := r.house.engine.Runs(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]api.Run, len(kept), len(kept)+len(unread))
	for i, run := range kept {
		list[i] = r.run(run)
	}
	for id, why := range unread {
		if past, err := r.past.run(ctx, id); err == nil {
			list = append(list, runOfSummary(past))
		} else {
			list = append(list, api.Run{ID: id, Unread: ivd.FailureOf(why)})
		}
	}
	return r.past.fill(ctx, list), nil
}

// RunDisks are those of one run, in the order of their keys.
func (r *runs) RunDisks(ctx context.Context, id ivd.RunID) ([]api.RunDisk, error) {
	v, err := r.house.engine.View(ctx, id)
	if ivd.KindOf(err) == ivd.NotFound {
		if past, pastErr := r.past.run(ctx, id); ivd.KindOf(pastErr) != ivd.NotFound {
			return disksOfSummary(past, r.label), pastErr
		}
	}
	return r.disks(v.Kind, v.Items), err
}

// Watch yields a run's changes.
func (r *runs) Watch(ctx context.Context, id ivd.RunID) iter.Seq2[api.Change, error] {
	return func(yield func(api.Change, error) bool) {
		if _, gone := r.house.engine.Run(ctx, id); ivd.KindOf(gone) == ivd.NotFound {
			if past, err := r.past.run(ctx, id); err == nil {
				yield(api.Change{Run: runOfSummary(past), Disks: disksOfSummary(past, r.label)}, nil)
				return
			}
		}
		for c, err := range r.house.engine.Watch(ctx, id) {
			if !yield(api.Change{Run: r.run(c.Run), Disks: r.disks(c.Run.Kind, c.Items)}, err) {
				return
			}
		}
	}
}

func (r *runs) run(v engine.Run) api.Run {
	out := api.Run{
		ID: v.ID, Kind: job.Kind(v.Kind), State: api.State(v.State), Created: v.Created, Ended: v.Ended,
		Owner: v.Owner, Cancelling: v.Cancel, Waiting: v.Waiting, Failure: v.Failure, Stats: v.Stats,
		Counts: api.Counts{
			Disks: v.Counts.Items, Waiting: v.Counts.Waiting, Working: v.Counts.Working(),
			Done: v.Counts.Done, Failed: v.Counts.Failed, Cancelled: v.Counts.Cancelled,
		},
	}
	if v.Kind == backup.Kind {
		var o backup.Order
		if v.Decode(&o) == nil { // else a newer program's words are not shown
			out.Policy, out.Full = o.Policy, o.Full
		}
	}
	return out
}

// disks come in the order of their keys, as the engine's items do.
func (r *runs) disks(kind engine.Kind, items []engine.ItemView) []api.RunDisk {
	disks := make([]api.RunDisk, len(items))
	for i, it := range items {
		disks[i] = r.disk(kind, it)
	}
	return disks
}

func (r *runs) disk(kind engine.Kind, it engine.ItemView) api.RunDisk {
	out := api.RunDisk{
		Key: string(it.Key), Step: string(it.Step), Result: api.State(it.Result), Failure: it.Failure,
		Started: it.Started, Ended: it.Ended, Retries: it.Retries, Retried: it.Retried, Stats: it.Stats,
		Transports: it.Transports, Refused: it.Refused, Movers: it.Movers,
		Waiting: it.Waits, Unread: ivd.FailureOf(it.Unread),
	}
	switch kind {
	case backup.Kind:
		var d backup.Disk
		if it.Decode(&d) == nil {
			r.place(&out, d.Ref, d.Name, d.Datastore, d.Geometry)
			out.Mode, out.Note, out.Parent, out.Point = string(d.Mode), d.Note, d.Parent, d.Point
		}
	case restore.Kind:
		var d restore.Disk
		if it.Decode(&d) == nil {
			r.place(&out, d.Ref, d.Name, d.Datastore, d.Geometry)
			out.From, out.Target = d.From, d.Target
		}
	case verify.Kind:
		var c verify.Check
		if it.Decode(&c) == nil {
			verified(&out, c.Point, c.Name, r.label, c.Geometry)
			out.Depth, out.Percent = c.How.Depth, c.How.Percent
		}
	}
	if it.Pending != "" {
		out.Note = strings.TrimPrefix(out.Note+"; "+pending+it.Pending, "; ")
	}
	return out
}

// verified says of which disk a point is that is read.
func verified(out *api.RunDisk, id ivd.PointID, name string, label catalogue.Label, g ivd.Geometry) {
	out.Name, out.From = name, id
	if id == "" { // packs
		return
	}
	out.ID, out.VCenter = id.Disk(), label(id.Source())
	out.Capacity, out.ChunkSize = g.Capacity, g.ChunkSize
}

// pending begins the note of a disk that has ended with something to undo.
const pending = "when the disk had ended, this was left to be tried again: "

func (r *runs) place(out *api.RunDisk, ref ivd.DiskRef, name, datastore string, g ivd.Geometry) {
	out.ID, out.Name, out.VCenter, out.Datastore, out.DatastoreID = ref.ID(), name, r.label(ref.Source()), datastore, ref.Datastore()
	out.Capacity, out.ChunkSize = g.Capacity, g.ChunkSize
}
