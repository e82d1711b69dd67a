package restore

import (
	"context"

	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/harm"
	"ivdmover/shared/job"
)

// GoesOn is so where a job has found damage: the others look at what they read, so that
// all that the point has lost is known at once.
func (w *Workflow) GoesOn(failed job.Record) bool { return len(failed.Damaged) > 0 }

// Explain has the packs retired that a job has found damaged, and says what of its
// point is lost.
func (w *Workflow) Explain(ctx context.Context, et *engine.Task, rec job.Record, failure error) error {
	point, err := w.Reads(et.Item())
	if err != nil {
		return failure
	}
	return harm.Explain(ctx, w.Repo, et.Log(), point, rec, failure)
}
