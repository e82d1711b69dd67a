package serve

import (
	"context"
	"iter"
	"reflect"
	"slices"
	"strings"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/run"
	"ivdmover/shared/ivd"
)

// runs shows runs as the API has them.
type runs struct {
	service *run.Service
	label   func(ivd.SourceID) string // what a source is called here
}

// StartBackup begins a backup.
func (r *runs) StartBackup(ctx context.Context, q api.BackupRequest) (api.Run, error) {
	v, err := r.service.StartBackup(ctx, run.BackupRequest(q))
	return r.run(v), err
}

// StartRestore begins a restore.
func (r *runs) StartRestore(ctx context.Context, q api.RestoreRequest) (api.Run, error) {
	v, err := r.service.StartRestore(ctx, run.RestoreRequest(q))
	return r.run(v), err
}

// Cancel asks for a run's end.
func (r *runs) Cancel(ctx context.Context, id ivd.RunID) error { return r.service.Cancel(ctx, id) }

// Run is one run.
func (r *runs) Run(ctx context.Context, id ivd.RunID) (api.Run, error) {
	v, err := r.service.Run(ctx, id)
	return r.run(v), err
}

// Runs are all that are kept, the newest first.
func (r *runs) Runs(ctx context.Context) ([]api.Run, error) {
	views, err := r.service.Runs(ctx)
	list := make([]api.Run, len(views))
	for i, v := range views {
		list[i] = r.run(v)
	}
	return list, err
}

// RunDisks are those of one run, in the order of their keys.
func (r *runs) RunDisks(ctx context.Context, id ivd.RunID) ([]api.RunDisk, error) {
	v, err := r.service.Run(ctx, id)
	return r.disks(v), err
}

// Watch yields a run's changes.
func (r *runs) Watch(ctx context.Context, id ivd.RunID) iter.Seq2[api.Change, error] {
	return func(yield func(api.Change, error) bool) {
		shown := map[string]api.RunDisk{}
		for v, err := range r.service.Watch(ctx, id) {
			c := api.Change{Run: r.run(v)}
			for _, d := range r.disks(v) {
				if old, known := shown[d.Key]; !known || !reflect.DeepEqual(old, d) {
					shown[d.Key] = d
					c.Disks = append(c.Disks, d)
				}
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

func (r *runs) run(v run.View) api.Run {
	out := api.Run{
		ID: v.ID, Kind: v.Kind, Policy: v.Policy, State: api.State(v.State), Created: v.Created, Ended: v.Ended,
		Owner: v.Owner, Cancelling: v.Cancel, Full: v.Full, Failure: v.Failure, Stats: v.Stats,
	}
	for _, d := range v.Disks {
		out.Counts.Add(r.disk(d))
	}
	return out
}

func (r *runs) disks(v run.View) []api.RunDisk {
	disks := make([]api.RunDisk, len(v.Disks))
	for i, d := range v.Disks {
		disks[i] = r.disk(d)
	}
	slices.SortFunc(disks, func(a, b api.RunDisk) int { return strings.Compare(a.Key, b.Key) })
	return disks
}

func (r *runs) disk(d run.DiskView) api.RunDisk {
	return api.RunDisk{
		Key: string(d.Key()), ID: d.Ref.ID(), Name: d.Name, VCenter: r.label(d.Ref.Source()), Datastore: d.Datastore, DatastoreID: d.Ref.Datastore(),
		Step: string(d.Step), Result: api.State(d.Result), Failure: d.Failure, Started: d.Started, Ended: d.Ended,
		Capacity: d.Geometry.Capacity, ChunkSize: d.Geometry.ChunkSize, Mode: string(d.Mode), Note: d.Note, Parent: d.Parent, Point: d.Point,
		From: d.From, Target: d.Target, Retries: d.Retries, Retried: d.Retried, Stats: d.Stats,
		Transports: d.Transports, Refused: d.Refused, Movers: d.Movers,
	}
}
