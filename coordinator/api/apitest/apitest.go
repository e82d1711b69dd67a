// Package apitest stands in for the rooms behind the API, so that the server,
// its client and the command line are tested over real HTTP without a vCenter, a
// queue or a repository. What it holds is what the test puts there; it never
// moves by itself.
package apitest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/news"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Rooms are all rooms behind the API. Set the fields before the server starts.
type Rooms struct {
	DiskList     []api.Disk
	SnapshotList []api.Snapshot
	PointList    []api.Point
	Details      map[ivd.PointID]api.PointDetail // beyond the list, of some points
	MoverList    []job.Mover
	UnreadMovers map[string]error
	Short        error // why no mover takes jobs
	Info         api.Repository
	Verdicts     []api.Verdict // what becomes of points, as a policy has it
	Err          error         // when set, every call fails with it
	Slow         string        // when set, what changes or checks something tells this, and goes on until nobody waits
	Next         api.RunDetail // what a start makes; its kind and request are filled in

	mu            sync.Mutex
	runs          map[ivd.RunID]api.RunDetail // guarded by mu
	changed       chan struct{}               // guarded by mu; closed at every change
	Backups       []api.BackupRequest         // guarded by mu; what was asked for
	Restores      []api.RestoreRequest        // guarded by mu
	Verifications []api.VerifyRequest         // guarded by mu
	Forgets       []api.ForgetRequest         // guarded by mu
	Keeps         []api.KeepRequest           // guarded by mu
	asked         map[ivd.RunID]chan bool     // guarded by mu; closed by the first Watch of a run
}

// slow waits as long as somebody waits for it, where it is set.
func (f *Rooms) slow(ctx context.Context) error {
	if f.Slow == "" {
		return nil
	}
	news.Tell(ctx, "%s", f.Slow)
	<-ctx.Done()
	return context.Cause(ctx)
}

// All gives them as the server takes them.
func (f *Rooms) All() api.Rooms {
	return api.Rooms{Runs: f, Estate: f, Archive: f, Retention: f, Movers: f}
}

// count counts a disk of a run.
func count(c *api.Counts, d api.RunDisk) {
	c.Disks++
	switch {
	case d.Step == api.Waiting:
		c.Waiting++
	case d.Step != api.Ended:
		c.Working++
	case d.Result == api.Done:
		c.Done++
	case d.Result == api.Cancelled:
		c.Cancelled++
	default:
		c.Failed++
	}
}

// Put stores a run as it is now, counts its disks and tells those who watch it.
func (f *Rooms) Put(v api.RunDetail) {
	v.Counts = api.Counts{}
	for _, d := range v.Disks {
		count(&v.Counts, d)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.runs == nil {
		f.runs = map[ivd.RunID]api.RunDetail{}
	}
	f.runs[v.ID] = v
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// Watched is closed once somebody watches the run.
func (f *Rooms) Watched(id ivd.RunID) <-chan bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.watchedLocked(id)
}

func (f *Rooms) watchedLocked(id ivd.RunID) chan bool {
	if f.asked == nil {
		f.asked = map[ivd.RunID]chan bool{}
	}
	if f.asked[id] == nil {
		f.asked[id] = make(chan bool)
	}
	return f.asked[id]
}

// StartBackup notes the request, with the ids of its disks, and makes the next run.
func (f *Rooms) StartBackup(ctx context.Context, r api.BackupRequest) (api.Run, error) {
	if err := f.slow(ctx); err != nil {
		return api.Run{}, err
	}
	if f.Err != nil {
		return api.Run{}, f.Err
	}
	for i, text := range r.Disks {
		var err error
		if r.Disks[i], err = f.meant(text); err != nil {
			return api.Run{}, err
		}
	}
	v := f.Next
	v.Kind, v.Policy, v.Full = job.Backup, r.Policy, r.Full
	f.mu.Lock()
	f.Backups = append(f.Backups, r)
	f.mu.Unlock()
	f.Put(v)
	return v.Run, nil
}

// StartRestore notes the request and makes the next run.
func (f *Rooms) StartRestore(ctx context.Context, r api.RestoreRequest) (api.Run, error) {
	return start(ctx, f, job.Restore, &f.Restores, r)
}

// StartVerify notes the request and makes the next run.
func (f *Rooms) StartVerify(ctx context.Context, r api.VerifyRequest) (api.Run, error) {
	return start(ctx, f, job.Verify, &f.Verifications, r)
}

// start notes a request and makes the next run, of a kind.
func start[T any](ctx context.Context, f *Rooms, kind job.Kind, asked *[]T, request T) (api.Run, error) {
	if err := f.slow(ctx); err != nil {
		return api.Run{}, err
	}
	if f.Err != nil {
		return api.Run{}, f.Err
	}
	v := f.Next
	v.Kind = kind
	f.mu.Lock()
	*asked = append(*asked, request)
	f.mu.Unlock()
	f.Put(v)
	return v.Run, nil
}

// Cancel marks the run.
func (f *Rooms) Cancel(_ context.Context, id ivd.RunID) error {
	v, err := f.detail(id)
	if err != nil {
		return err
	}
	v.Cancelling = true
	f.Put(v)
	return nil
}

// Run gives what was put.
func (f *Rooms) Run(_ context.Context, id ivd.RunID) (api.Run, error) {
	v, err := f.detail(id)
	return v.Run, err
}

// RunDisks gives what was put.
func (f *Rooms) RunDisks(_ context.Context, id ivd.RunID) ([]api.RunDisk, error) {
	v, err := f.detail(id)
	return v.Disks, err
}

func (f *Rooms) detail(id ivd.RunID) (api.RunDetail, error) {
	if f.Err != nil {
		return api.RunDetail{}, f.Err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.runs[id]
	if !ok {
		return api.RunDetail{}, &ivd.Error{Kind: ivd.NotFound, Err: errNoRun(id), Remedy: "list them with `ivd runs`"}
	}
	return v, nil
}

type errNoRun ivd.RunID

func (e errNoRun) Error() string { return "no run " + string(e) }

// Runs gives what was put, by id.
func (f *Rooms) Runs(context.Context) ([]api.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var runs []api.Run
	for _, id := range slices.Sorted(maps.Keys(f.runs)) {
		runs = append(runs, f.runs[id].Run)
	}
	return runs, f.Err
}

// Watch yields the run with all its disks at every Put until it has ended.
func (f *Rooms) Watch(ctx context.Context, id ivd.RunID) iter.Seq2[api.Change, error] {
	return func(yield func(api.Change, error) bool) {
		for {
			f.mu.Lock()
			v := f.runs[id]
			if f.changed == nil {
				f.changed = make(chan struct{})
			}
			changed := f.changed
			if first := f.watchedLocked(id); !isClosed(first) {
				close(first)
			}
			f.mu.Unlock()
			if !yield(api.Change{Run: v.Run, Disks: v.Disks}, nil) || v.State.Ended() {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

func isClosed(c chan bool) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Disks gives the list, narrowed as asked.
func (f *Rooms) Disks(_ context.Context, q api.DiskQuery) ([]api.Disk, error) {
	var disks []api.Disk
	for _, d := range f.DiskList {
		if (q.Datastore == "" || q.Datastore == d.Datastore) && (!q.Unprotected || d.LastPoint == nil) {
			disks = append(disks, d)
		}
	}
	return disks, f.Err
}

// meant looks for a name among the disks, where a text is no id.
func (f *Rooms) meant(disk string) (string, error) {
	if id, err := ivd.ParseDiskID(disk); err == nil {
		return string(id), nil
	}
	for _, d := range f.DiskList {
		if d.Name == disk {
			return string(d.ID), nil
		}
	}
	return "", &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no disk %s on any datastore", disk), Remedy: "`ivd disks` lists them"}
}

// Snapshots gives the list.
func (f *Rooms) Snapshots(context.Context) ([]api.Snapshot, error) { return f.SnapshotList, f.Err }

// DeleteSnapshot deletes one of the list.
func (f *Rooms) DeleteSnapshot(ctx context.Context, id ivd.SnapshotID, vcenter string) error {
	if err := f.slow(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.SnapshotList)
	f.SnapshotList = slices.DeleteFunc(f.SnapshotList, func(s api.Snapshot) bool { return s.ID == id && (vcenter == "" || vcenter == s.VCenter) })
	if len(f.SnapshotList) == n && f.Err == nil {
		return ivd.Errorf(ivd.NotFound, "no disk has a snapshot %s", id)
	}
	return f.Err
}

// Names calls a source by its id, and looks for the datastore among the disks.
func (f *Rooms) Names(_ context.Context, source ivd.SourceID, id ivd.DatastoreID) (vcenter, datastore string) {
	for _, d := range f.DiskList {
		if d.VCenter == string(source) && d.DatastoreID == id {
			return d.VCenter, d.Datastore
		}
	}
	return string(source), ""
}

// Points gives the list, narrowed to a disk.
func (f *Rooms) Points(ctx context.Context, q api.PointQuery) ([]api.Point, error) {
	if err := f.slow(ctx); err != nil {
		return nil, err
	}
	shown := slices.DeleteFunc(slices.Clone(f.PointList), func(p api.Point) bool { return p.GivenUp && !q.All })
	if q.Disk == "" || f.Err != nil {
		return shown, f.Err
	}
	of, err := catalogue.OfDisk(f.points(), q.Disk, label)
	return slices.DeleteFunc(shown, func(p api.Point) bool {
		return !slices.ContainsFunc(of, func(x catalogue.Point) bool { return x.ID == p.ID })
	}), err
}

// Point gives one of the list.
func (f *Rooms) Point(_ context.Context, id ivd.PointID) (api.PointDetail, error) {
	for _, p := range f.PointList {
		if p.ID == id {
			d := f.Details[id]
			d.Point = p
			return d, nil
		}
	}
	return api.PointDetail{}, ivd.Errorf(ivd.NotFound, "no restore point %s", id)
}

// Resolve finds one of the list as the coordinator does.
func (f *Rooms) Resolve(_ context.Context, text string) (ivd.PointID, error) {
	return catalogue.Resolve(f.points(), text, label)
}

// label calls a source by its id.
func label(source ivd.SourceID) string { return string(source) }

func (f *Rooms) points() (points []catalogue.Point) {
	for _, p := range f.PointList {
		points = append(points, catalogue.Point{ID: p.ID, Name: p.Name, Time: p.Time, SealedAt: p.SealedAt, Partial: p.Partial, Failure: p.Failure})
	}
	return points
}

// Repository gives the info.
func (f *Rooms) Repository(context.Context) (api.Repository, error) { return f.Info, f.Err }

// Movers gives the list.
func (f *Rooms) Movers(context.Context) ([]job.Mover, error) { return f.MoverList, f.Err }

// Unread gives the map.
func (f *Rooms) Unread(context.Context) (map[string]error, error) { return f.UnreadMovers, f.Err }

// Shortage gives the reason.
func (f *Rooms) Shortage(context.Context, job.Kind) (why, err error) { return f.Short, f.Err }

// Forget notes the request, and answers with the verdicts, of those that are named.
func (f *Rooms) Forget(_ context.Context, r api.ForgetRequest) ([]api.Verdict, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Forgets = append(f.Forgets, r)
	var verdicts []api.Verdict
	for _, v := range f.Verdicts {
		if len(r.Points) > 0 && !slices.Contains(r.Points, v.ID) {
			continue
		}
		v.Forgotten = !v.Stays && !r.DryRun
		verdicts = append(verdicts, v)
	}
	return verdicts, f.Err
}

// Pin notes the request.
func (f *Rooms) Pin(ctx context.Context, r api.KeepRequest) (api.Point, error) {
	return f.kept(ctx, r, "pinned: "+r.Reason)
}

// Unpin notes the request.
func (f *Rooms) Unpin(ctx context.Context, r api.KeepRequest) (api.Point, error) {
	return f.kept(ctx, r, "")
}

// Hold notes the request.
func (f *Rooms) Hold(ctx context.Context, r api.KeepRequest) (api.Point, error) {
	return f.kept(ctx, r, "held until "+r.Until.UTC().Format(time.RFC3339)+": "+r.Reason)
}

// Release notes the request.
func (f *Rooms) Release(ctx context.Context, r api.KeepRequest) (api.Point, error) {
	return f.kept(ctx, r, "")
}

func (f *Rooms) kept(ctx context.Context, r api.KeepRequest, by string) (api.Point, error) {
	f.mu.Lock()
	f.Keeps = append(f.Keeps, r)
	f.mu.Unlock()
	d, err := f.Point(ctx, r.Point)
	if f.Err != nil {
		err = f.Err
	}
	d.Kept = by
	return d.Point, err
}
