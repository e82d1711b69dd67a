package worker

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"ivdmover/deploy/lab/script"
	"ivdmover/mover/disk"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// A disk that is locked while an attempt of ours may still hold it is waited for; one
// that is locked by others fails.
func TestADiskThatWeHoldOurselvesIsWaitedFor(t *testing.T) {
	b := newBench(t)
	b.newDisk(diskID, 1<<20, 1)
	b.files.refuse = &ivd.Error{Kind: ivd.Locked, Op: "open disk", Err: errors.New("in use")}
	held, others := b.job(diskID, 1<<20), b.job(diskID, 1<<20)
	others.ID = "j0002"
	for _, j := range []job.Job{held, others} {
		b.publish(j)
	}
	rec, rev, err := b.queue.JobRecord(t.Context(), held.Run, held.Disk.Ref.ID(), held.ID)
	if err != nil {
		t.Fatal(err)
	}
	rec.State, rec.Attempt, rec.Lost, rec.Mover, rec.Process = job.Running, 1, 1, "mover-9", "hangs"
	if _, err := b.queue.UpdateJobRecord(t.Context(), rec, rev); err != nil {
		t.Fatal(err)
	}
	b.start("mover-1", 1, pipeline.Limits{})
	if rec = b.wait(others, state(job.Failed)); rec.Failure.Kind != ivd.Locked || rec.Holder != "" {
		t.Errorf("locked by others: %+v, failure %+v", rec, rec.Failure)
	}
	rec = b.wait(held, func(r job.Record) bool { return r.Attempt == 2 && r.State != job.Running })
	if rec.State != job.Queued || rec.Lost != 1 || rec.Holder != "mover-9" || rec.Failure != nil {
		t.Errorf("held by us: %+v, failure %+v", rec, rec.Failure)
	}
}

// When opening a disk hangs, what waits for it goes to another process at once, and the
// disk that is moved is moved to its end.
func TestAHungOpeningHoldsUpNoOther(t *testing.T) {
	w := newWard(t, 3)
	h, err := disk.NewHost(lib, disk.Options{Transports: []string{"nbdssl"}, Patience: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	w.disks, w.facts = h, h.Facts
	relieved := make(chan struct{})
	w.relieve = func() { h.Yield(); close(relieved) }
	w.faults(script.Fault{Call: "Open", Disk: string(w.refs[0].ID()), Mode: "nbdssl", Shared: true, Do: "delay:6s"})
	hangs, waits := w.backup(0, "j0001"), w.backup(1, "j0002")
	m := w.start("first", 2, pipeline.Limits{})
	w.publish(hangs)
	eventually(t, "the disk is being opened", func() bool {
		counts, err := filepath.Glob(filepath.Join(w.dir, "faults.count", "*"))
		return err == nil && len(counts) > 0
	})
	w.publish(waits)
	<-relieved
	rec := w.wait(waits, func(r job.Record) bool { return r.State == job.Queued && r.Attempt == 1 })
	if rec.Lost != 0 || rec.Failure != nil {
		t.Errorf("what waited: %+v", rec)
	}
	// The first begins nothing more, ends what it has, and then itself.
	next := w.backup(2, "j0003")
	w.publish(next)
	if err := <-m.ended; !errors.Is(err, ErrReplace) {
		t.Errorf("it ended with %v", err)
	}
	close(m.ended)
	if rec := w.wait(hangs, state(job.Done)); rec.Attempt != 1 {
		t.Errorf("what hung: %+v", rec)
	}
	if rec, _, err := w.queue.JobRecord(t.Context(), next.Run, next.Disk.Ref.ID(), next.ID); err != nil || rec.Attempt != 0 {
		t.Errorf("begun meanwhile: %+v, %v", rec, err)
	}
	w.relieve, w.disks, w.facts = nil, nil, nil
	w.host(disk.Options{Transports: []string{"nbdssl"}})
	w.start("second", 2, pipeline.Limits{})
	for _, j := range []job.Job{waits, next} {
		w.wait(j, state(job.Done))
	}
}
