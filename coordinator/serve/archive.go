package serve

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

const (
	readAtOnce = 16     // points that are read from the store at once
	keptPoints = 50_000 // points that are kept in memory: some 500 bytes each
)

// archive answers for the repository. Points never change, so those that were
// read once are kept; what exists is asked of the store every time.
type archive struct {
	repo  *repo.Repository
	label func(ivd.SourceID) string // what a source is called here

	mu    sync.Mutex
	known map[ivd.PointID]api.Point // guarded by mu
}

func newArchive(r *repo.Repository, label func(ivd.SourceID) string) *archive {
	return &archive{repo: r, label: label, known: map[ivd.PointID]api.Point{}}
}

// Repository says what the repository is.
func (a *archive) Repository(context.Context) (api.Repository, error) {
	return DescribeRepository(a.repo), nil
}

// DescribeRepository is a repository as the API shows it.
func DescribeRepository(r *repo.Repository) api.Repository {
	i := r.Info()
	return api.Repository{ID: i.ID, URL: r.Store().String(), FormatVersion: i.Version, ChunkSize: i.ChunkSize, Hash: i.Hash, Cipher: i.Cipher}
}

// ids lists the restore points of a disk or of all, in order.
func (a *archive) ids(ctx context.Context, disk ivd.DiskID) ([]ivd.PointID, error) {
	var ids []ivd.PointID
	for info, err := range a.repo.Points(ctx, disk) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, info.ID)
	}
	slices.Sort(ids)
	return ids, nil
}

// Points reads the restore points of a disk or of all. One that is damaged is
// shown with its failure, so that it hides no other; one that counts as never
// committed is left out.
func (a *archive) Points(ctx context.Context, disk ivd.DiskID) ([]api.Point, error) {
	ids, err := a.ids(ctx, disk)
	if err != nil {
		return nil, err
	}
	points := make([]api.Point, len(ids))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(readAtOnce)
	for i, id := range ids {
		group.Go(func() error {
			p, err := a.Point(gctx, id)
			switch ivd.KindOf(err) {
			case ivd.NotFound, ivd.Expired:
				return nil
			case ivd.Corrupt, ivd.Unsupported:
				p = api.Point{ID: id, Disk: id.Disk(), Time: pointTime(id), Failure: ivd.FailureOf(err)}
				err = nil
			}
			points[i] = p
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(points, func(p api.Point) bool { return p.ID == "" }), nil
}

// Point reads one restore point.
func (a *archive) Point(ctx context.Context, id ivd.PointID) (api.Point, error) {
	a.mu.Lock()
	p, ok := a.known[id]
	a.mu.Unlock()
	if ok {
		return p, nil
	}
	stored, _, err := a.repo.ReadPoint(ctx, id)
	if ivd.KindOf(err) == ivd.NotFound {
		return api.Point{}, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no restore point %s", id), Remedy: "`ivd points` lists them"}
	}
	if err != nil {
		return api.Point{}, err
	}
	p = pointOf(stored, a.label(stored.Disk.Source()))
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= keptPoints {
		clear(a.known) // reading anew is cheaper than to keep account of use
	}
	a.known[id] = p
	return p, nil
}

func pointOf(p format.Point, vcenter string) api.Point {
	out := api.Point{
		ID: p.ID, Disk: p.Disk.ID(), Name: p.Name, VCenter: vcenter, Datastore: p.DatastoreName,
		Time: p.Time, Run: p.Run, Mode: plan.Mode(p.Mode), Capacity: p.Geometry.Capacity, ChunkSize: p.Geometry.ChunkSize,
		ReadBytes: p.Stats.ReadBytes, StoredBytes: p.Stats.StoredBytes, Stats: p.Stats,
	}
	if out.Datastore == "" {
		out.Datastore = string(p.Disk.Datastore())
	}
	if p.Parent != "" {
		out.Parent = &p.Parent
	}
	return out
}

// pointTime is the time in a point's name, which says it to the second.
func pointTime(id ivd.PointID) time.Time {
	_, name, _ := strings.Cut(string(id), "/")
	stamp, _, _ := strings.Cut(name, "-")
	t, err := time.Parse("20060102T150405Z", stamp)
	if err != nil {
		return time.Time{}
	}
	return t
}
