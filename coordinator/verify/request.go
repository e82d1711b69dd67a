package verify

import (
	"context"
	"fmt"

	"ivdmover/coordinator/engine"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Request asks for points to be verified, or for packs.
type Request struct {
	Points []ivd.PointID // each once
	How    job.VerifySpec

	Packs Packs // in place of points
}

// Run checks a request and makes the run that verifies its points, or packs.
func (w *Workflow) Run(ctx context.Context, q Request) (s engine.Spec, err error) {
	if q.Packs != "" {
		return w.packs(ctx, q.Packs)
	}
	err = engine.Soon(ctx, func(ctx context.Context) error {
		s, err = w.points(ctx, q)
		return err
	})
	return s, err
}

func (w *Workflow) points(ctx context.Context, q Request) (engine.Spec, error) {
	if err := checkHow(q.How); err != nil {
		return engine.Spec{}, err
	}
	if q.How.Depth != job.Structure {
		if err := w.Repo.OpensChunks(); err != nil {
			return engine.Spec{}, err
		}
	}
	s := engine.Spec{Kind: Kind, Lease: format.ReadLease}
	known := map[ivd.PointID]bool{}
	for _, id := range q.Points {
		if known[id] {
			continue
		}
		known[id] = true
		p, _, err := w.Repo.ReadPoint(ctx, id)
		if ivd.KindOf(err) == ivd.NotFound {
			err = &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no restore point %s", id), Remedy: "`ivd points` lists them"}
		}
		if err != nil {
			return engine.Spec{}, err
		}
		s.Items = append(s.Items, engine.ItemSpec{Key: KeyOf(id), Body: Check{Point: id, Name: p.Disk.Name, Geometry: p.Geometry, How: q.How}})
	}
	if len(s.Items) == 0 {
		return engine.Spec{}, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("there is no restore point to verify"), Remedy: "`ivd points` lists them"}
	}
	return s, nil
}

func checkHow(how job.VerifySpec) error {
	switch {
	case how.Depth == job.Sample && (how.Percent < 1 || how.Percent > 100):
		return ivd.Errorf(ivd.Invalid, "a sample of %d%%: want 1 to 100", how.Percent)
	case how.Depth == job.Sample, (how.Depth == job.Structure || how.Depth == job.Whole) && how.Percent == 0:
		return nil
	}
	return ivd.Errorf(ivd.Invalid, "no depth of a verification: %q, with a sample of %d%%", how.Depth, how.Percent)
}
