package worker

import (
	"context"
	"errors"

	"ivdmover/mover/disk"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/ivd"
	"ivdmover/shared/telemetry"
)

// verdict is what becomes of a delivery.
type verdict int

const (
	ack     verdict = iota // taken off the queue
	failed                 // the record says why, then taken off
	back                   // the record says that it is queued, then handed back
	wait                   // handed back for later, the record as it is
	expired                // the record says so already; taken off the queue
	held                   // likewise, and the record says that it is queued
	pass                   // handed back for another mover, the record as it is
	drop                   // nothing is said: it is somebody else's, or nobody can be told
)

// judge decides what becomes of a delivery after its attempt.
func judge(err error) verdict {
	switch {
	case err == nil, errors.Is(err, errForget):
		return ack
	case errors.Is(err, errLost):
		return drop
	case errors.Is(err, errOver) && !errors.Is(err, errLater):
		return expired
	case errors.Is(err, pipeline.ErrStopped), errors.Is(err, errEnded), errors.Is(err, errSucceeded), errors.Is(err, disk.ErrYielded):
		return back
	case errors.Is(err, errElsewhere):
		return pass
	case errors.Is(err, errHeld):
		return held
	case errors.Is(err, errLater):
		return wait
	}
	return failed
}

// settle brings the record and the delivery to what the attempt came to. Without
// an acknowledgement the job is delivered again, which does no harm.
func (t *attempt) settle(ctx context.Context, err error) {
	v := judge(err)
	if v == failed && t.record == nil {
		v = wait // not even claimed
	}
	if writeErr := t.write(ctx, v, err); writeErr != nil {
		t.log.Warn("storing how the attempt ended failed: the job will be delivered again", "err", writeErr, "outcome", err)
		v = drop
	}
	t.say(v, err)
	d := t.a.delivery
	switch v {
	case ack, failed, expired:
		if err := d.Ack(ctx); err != nil {
			t.log.Warn("acknowledging the job failed: it will be delivered again, and dropped then", "err", err)
		}
	case back:
		t.w.handBack(ctx, d, 0)
	case wait, held:
		t.w.handBack(ctx, d, later)
	case pass:
		t.w.handBack(ctx, d, elsewhere)
	case drop:
	}
}

// write brings the record of a claimed job to the verdict.
func (t *attempt) write(ctx context.Context, v verdict, err error) error {
	switch {
	case t.record == nil:
		return nil
	case v == failed:
		return t.record.fail(ctx, err)
	case v == back:
		return t.record.back(ctx)
	case v == held:
		return t.record.held(ctx)
	}
	return nil
}

func (t *attempt) say(v verdict, err error) {
	s := t.a.meter.Total()
	warn := t.log.Warn
	if ivd.KindOf(err) == ivd.Withheld && !t.w.withheld.Due() { // one fact for all jobs
		warn = t.log.Debug
	}
	switch {
	case v == ack && err == nil:
		t.log.Info("job done", "disk_bytes", s.DiskBytes, "read_bytes", s.ReadBytes, "new_bytes", s.NewBytes, "stored_bytes", s.StoredBytes, "written_bytes", s.WrittenBytes)
	case v == ack:
		t.log.Debug("delivery of a job that needs nothing")
	case v == failed:
		warn("job failed", telemetry.Err(err))
	case v == expired:
		t.log.Warn("job taken off the queue before it began; its run has it done under another lease, if it still goes on", telemetry.Err(err))
	case v == back:
		t.log.Info("job handed back", "why", err)
	case v == held:
		t.log.Warn("the disk is held by a process of ours that hangs or has died, and is waited for", telemetry.Err(err))
	case v == wait:
		warn("job handed back for later", telemetry.Err(err))
	case v == pass:
		t.log.Debug("job handed back for another mover")
	case v == drop && errors.Is(err, errLost):
		t.log.Info("job dropped", "why", err)
	}
}
