package serve

import (
	"context"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// archive shows the repository and its points as the API has them.
type archive struct {
	repo      *repo.Repository
	catalogue *catalogue.Catalogue
	label     func(ivd.SourceID) string // what a source is called here
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

// Points lists the restore points of a disk or of all.
func (a *archive) Points(ctx context.Context, disk ivd.DiskID) ([]api.Point, error) {
	points, err := a.catalogue.Points(ctx, disk)
	shown := make([]api.Point, len(points))
	for i, p := range points {
		shown[i] = a.point(p)
	}
	return shown, err
}

// Point shows one restore point.
func (a *archive) Point(ctx context.Context, id ivd.PointID) (api.Point, error) {
	p, err := a.catalogue.Point(ctx, id)
	if err != nil {
		return api.Point{}, err
	}
	return a.point(p), nil
}

func (a *archive) point(p catalogue.Point) api.Point {
	out := api.Point{ID: p.ID, Disk: p.ID.Disk(), Time: p.Time, Failure: p.Failure}
	if p.Failure != nil {
		return out
	}
	out.Name, out.VCenter, out.Datastore, out.Run, out.Mode = p.Name, a.label(p.Disk.Source()), p.Datastore, p.Run, plan.Mode(p.Mode)
	out.Capacity, out.ChunkSize = p.Geometry.Capacity, p.Geometry.ChunkSize
	out.ReadBytes, out.StoredBytes, out.Stats = p.Stats.ReadBytes, p.Stats.StoredBytes, p.Stats
	if p.Parent != "" {
		out.Parent = &p.Parent
	}
	return out
}
