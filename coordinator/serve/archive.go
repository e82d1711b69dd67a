package serve

import (
	"context"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/heads"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/meter"
)

// archive shows the repository and its points as the API has them.
type archive struct {
	repo      *repo.Repository
	heads     *heads.Keeper
	catalogue *catalogue.Catalogue
	label     catalogue.Label // what a source is called here

	collecting *collecting
	verifying  *verifying
}

// lookTime is for comparing the repository with what was seen of it.
const lookTime = 10 * time.Second

// Repository says what the repository is, and what was asked of its store.
func (a *archive) Repository(ctx context.Context) (api.Repository, error) {
	looking, stop := context.WithTimeout(ctx, lookTime)
	defer stop()
	_ = a.heads.Check(looking) // where the store does not answer, what was found before stands
	shown := DescribeRepository(a.repo)
	shown.Failure = ivd.FailureOf(a.heads.State())
	shown.Collection, shown.Verification = a.collecting.shown(looking), a.verifying.shown(looking)
	asked := meter.Of(a.repo.Store())
	for _, k := range meter.Kinds {
		if c, ok := asked[k]; ok {
			shown.Requests = append(shown.Requests, api.Requests{Kind: string(k), Requests: c.Requests, Errors: c.Errors, Bytes: c.Bytes})
		}
	}
	return shown, nil
}

// DescribeRepository is a repository as the API shows it.
func DescribeRepository(r *repo.Repository) api.Repository {
	i := r.Info()
	return api.Repository{
		ID: i.ID, URL: r.Store().String(), FormatVersion: i.Version, ChunkSize: i.ChunkSize, PackSize: i.PackSize, Hash: i.Hash, Cipher: i.Cipher,
		Root: i.Root, Domain: r.Domain(), Generation: i.Generation, Incarnation: i.Incarnation,
		Features: api.Features{Read: some(i.Features.Read), Write: some(i.Features.Write), Collect: some(i.Features.Collect)},
	}
}

// some makes an empty list of none.
func some(words []string) []string { return append([]string{}, words...) }

// Resolve finds the point that a text means.
func (a *archive) Resolve(ctx context.Context, text string) (ivd.PointID, error) {
	return a.catalogue.Resolve(ctx, text, a.label)
}

// Points lists the restore points of a disk or of all, and says which are damaged.
func (a *archive) Points(ctx context.Context, q api.PointQuery) ([]api.Point, error) {
	points, err := a.points(ctx, q.Disk, !q.Check)
	switch {
	case err != nil:
	case q.Check:
		err = a.catalogue.Check(ctx, points)
	default:
		err = a.catalogue.Mark(ctx, points, false)
	}
	catalogue.Settle(points) // more is known of their damage
	shown := make([]api.Point, 0, len(points))
	for _, p := range points {
		if q.All || !p.GivenUp {
			shown = append(shown, a.point(p))
		}
	}
	return shown, err
}

func (a *archive) points(ctx context.Context, disk string, told bool) ([]catalogue.Point, error) {
	switch {
	case disk != "":
		return a.catalogue.OfDisk(ctx, disk, a.label, told)
	case told:
		return a.catalogue.Told(ctx, catalogue.Disk{})
	}
	return a.catalogue.Points(ctx, catalogue.Disk{})
}

func (a *archive) point(p catalogue.Point) api.Point {
	out := api.Point{
		ID: p.ID, ShortID: p.Short, Source: p.ID.Source(), Disk: p.ID.Disk(), Run: p.ID.Run(), Time: p.Time,
		Partial: p.Partial, Failure: p.Failure, Damaged: p.Damaged, Unchecked: p.Unchecked, Kept: p.Beside.Kept(), GivenUp: p.GivenUp,
	}
	if f := p.Beside.Forgotten; f != nil {
		out.Forgotten = &api.Forgotten{Time: f.At, Reason: f.Reason, Policy: f.Policy, Run: f.Run}
	}
	if p.Failure != nil {
		return out
	}
	out.Name, out.VCenter, out.Datastore, out.Mode = p.Name, a.label(p.Disk.Source()), p.Datastore, plan.Mode(p.Mode)
	out.ProtectedUntil = p.Protected
	out.SealedAt, out.Consistency, out.Policy = p.SealedAt, string(p.Consistency), p.Policy
	_, out.TimeDoubted = p.Moment()
	out.Capacity, out.ChunkSize = p.Geometry.Capacity, p.Geometry.ChunkSize
	out.ReadBytes, out.StoredBytes, out.Stats = p.Stats.ReadBytes, p.Stats.StoredBytes, p.Stats
	if p.Parent != "" {
		out.Parent = &p.Parent
	}
	return out
}
