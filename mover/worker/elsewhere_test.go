package worker

import (
	"testing"

	"ivdmover/mover/pipeline"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// A mover that cannot write leaves restores on the queue for one that can.
func TestAMoverThatCannotWriteTakesNoRestore(t *testing.T) {
	b := newBench(t)
	const size = 4 << 20
	content := b.newDisk(diskID, size, 1)
	b.cannot = "its library has no VixDiskLib_WriteAsync"
	b.start("reads", 2, pipeline.Limits{})
	backup := b.job(diskID, size)
	b.publish(backup)
	restore := b.restoreJob(b.commit(backup, b.wait(backup, state(job.Done))), id(2), size)
	b.publish(restore)
	eventually(t, "the heartbeat says so", func() bool {
		m, err := b.queue.Mover(t.Context(), "reads")
		return err == nil && m.NoRestore == b.cannot && !m.Takes(job.Restore) && m.Takes(job.Backup)
	})
	next := b.job(diskID, size)
	next.ID = "j0002"
	b.publish(next)
	b.wait(next, state(job.Done)) // it is at work
	if rec, _, err := b.queue.JobRecord(t.Context(), restore.Run, restore.Key(), restore.ID); err != nil || rec.Attempt != 0 {
		t.Errorf("it took the restore: %+v, %v", rec, err)
	}
	b.cannot = ""
	b.start("writes", 2, pipeline.Limits{})
	if rec := b.wait(restore, state(job.Done)); rec.Mover != "writes" {
		t.Errorf("%+v", rec)
	}
	b.same(id(2), content)
}

// A mover that lacks what a job needs says so in its record, and never takes that job
// again: it leaves it to another one.
func TestAMoverLeavesToOthersWhatItCannotDo(t *testing.T) {
	b := newBench(t)
	b.newDisk(diskID, 1<<20, 1)
	j := b.job(diskID, 1<<20)
	lacks := ivd.Errorf(ivd.Unsupported, "no transport serves")
	b.files.mu.Lock()
	b.files.refuse = lacks
	b.files.mu.Unlock()
	m := b.start("first", 1, pipeline.Limits{})
	b.publish(j)
	rec := b.wait(j, state(job.Failed))
	if !rec.CannotBy("first", m.process) || rec.Unable[0].Reason != lacks.Error() || rec.Failure.Kind != ivd.Unsupported {
		t.Errorf("%+v, failure %+v", rec, rec.Failure)
	}
	b.files.mu.Lock()
	b.files.refuse = nil // it could now, and does not know
	b.files.mu.Unlock()
	b.again(j)
	other := b.job(diskID, 1<<20)
	other.ID = "j0002"
	b.publish(other)
	b.wait(other, state(job.Done)) // it takes others
	if rec, _, err := b.queue.JobRecord(t.Context(), j.Run, j.Key(), j.ID); err != nil || rec.Attempt != 1 || rec.State != job.Queued {
		t.Errorf("the first has it again: %+v, %v", rec, err)
	}
	b.start("second", 1, pipeline.Limits{})
	if rec := b.wait(j, state(job.Done)); rec.Mover != "second" {
		t.Errorf("%+v", rec)
	}
}
