package examine

import (
	"context"

	"ivdmover/shared/job"
)

// Limit is how long an examination may take.
const Limit = limit

// Answer answers one question.
func (r *Room) Answer(ctx context.Context, q job.ExamineRequest, doctor job.Mover) (job.Examination, error) {
	return r.answer(ctx, q, doctor)
}
