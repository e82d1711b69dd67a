package worker

import (
	"context"

	"ivdmover/mover/pipeline"
	"ivdmover/shared/image"
	"ivdmover/shared/ivd"
)

// verify reads the job's part of a point as a restore reads it, and writes nothing.
// Suspects are the packs of which it could not read something.
func (t *attempt) verify(ctx context.Context) (suspects []image.Suspect, err error) {
	if t.job.Restore == nil || t.job.Verify == nil {
		return nil, ivd.Errorf(ivd.Unsupported, "a verification of a kind that this mover does not know")
	}
	im, err := pipeline.OpenImage(ctx, t.w.Repository, *t.job, t.reading(0))
	if err != nil {
		return nil, err
	}
	defer im.Close(ctx)
	err = pipeline.Verify{
		Job: *t.job, From: t.record.rec, Image: im, Meter: &t.a.meter, Limits: t.w.Limits, Stop: t.w.stop, Checkpoint: t.store,
	}.Run(ctx)
	return im.Suspects(), err
}
