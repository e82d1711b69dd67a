package worker

import (
	"context"
	"testing"

	"ivdmover/mover/pipeline"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// What the mover's own end cuts short is asked again, of another process: nobody has
// cancelled it.
func TestRequestCutShort(t *testing.T) {
	b := newBench(t)
	m := b.start("mover-1", 1, pipeline.Limits{})
	ctx, end := context.WithCancel(t.Context())
	end()
	r := m.answer(ctx, job.Request{Op: job.Inspect})
	if r.Failure == nil || r.Failure.Kind != ivd.Transient {
		t.Errorf("%+v", r.Failure)
	}
}
