package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"ivdmover/mover/disk"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
	"ivdmover/shared/repo"
)

func TestBackupAndRestoreThroughTheQueue(t *testing.T) {
	b := newBench(t)
	m := b.start("mover-1", 2, pipeline.Limits{})
	const size = 70<<20 + 3*512
	content := b.newDisk(diskID, size, 1)
	j := b.job(diskID, size)
	b.publish(j)
	rec := b.wait(j, state(job.Done))
	if rec.Attempt != 1 || rec.Lost != 0 || rec.Mover != "mover-1" || rec.Stats.DiskBytes != size || rec.Batches == 0 {
		t.Errorf("record %+v", rec)
	}
	r := b.restoreJob(b.commit(j, rec), id(2), 71<<20)
	b.publish(r)
	b.wait(r, state(job.Done))
	b.same(id(2), content)
	if !slices.Contains(b.files.secrets, "of "+diskID) {
		t.Errorf("logins were %v", b.files.secrets)
	}
	b.end(m)
	if movers, _, err := b.queue.Movers(t.Context()); err != nil || len(movers) != 0 {
		t.Errorf("after its end the mover is still there: %v, %v", movers, err)
	}
}

// Many disks, killed movers: every job ends done, and each disk comes back.
func TestKilledMoversLoseNothing(t *testing.T) {
	b := newBench(t)
	const size = 130 << 20
	var jobs []job.Job
	contents := map[ivd.DiskID][]byte{}
	for n := range 3 {
		contents[id(n)] = b.newDisk(id(n), size, uint64(n))
		jobs = append(jobs, b.job(id(n), size))
		b.publish(jobs[n])
	}
	limits := pipeline.Limits{Bytes: 1 << 20}
	for n := range 3 { // each is killed when it has sealed something
		m := b.start(fmt.Sprintf("victim-%d", n), 2, limits)
		b.wait(jobs[n], func(r job.Record) bool { return r.State == job.Done || r.Batches > 0 && r.Mover == m.Name })
		m.kill()
	}
	b.start("survivor", 2, limits)
	for n, j := range jobs {
		rec := b.wait(j, state(job.Done))
		r := b.restoreJob(b.commit(j, rec), id(100+n), size)
		b.publish(r)
		b.wait(r, state(job.Done))
		b.same(id(100+n), contents[id(n)])
	}
}

func TestStoppedMoverHandsItsJobsBack(t *testing.T) {
	b := newBench(t)
	const size = 200 << 20
	content := b.newDisk(diskID, size, 3)
	j := b.job(diskID, size)
	first := b.start("first", 1, pipeline.Limits{})
	b.files.mu.Lock()
	b.files.onOpen = func() { close(first.stop) }
	b.files.mu.Unlock()
	b.publish(j)
	if err := <-first.ended; err != nil {
		t.Fatal(err)
	}
	close(first.ended)
	rec, _, err := b.queue.JobRecord(t.Context(), j.Run, j.Disk.Ref.ID(), j.ID)
	if err != nil || rec.State != job.Queued || rec.Batches != 1 || rec.Next != 1 || rec.Lost != 0 {
		t.Fatalf("after the stop: %+v, %v", rec, err)
	}
	b.files.mu.Lock()
	b.files.onOpen = nil
	b.files.mu.Unlock()
	b.start("second", 1, pipeline.Limits{})
	rec = b.wait(j, state(job.Done))
	if rec.Attempt != 2 || rec.Mover != "second" {
		t.Errorf("record %+v", rec)
	}
	r := b.restoreJob(b.commit(j, rec), id(2), size)
	b.publish(r)
	b.wait(r, state(job.Done))
	b.same(id(2), content)
}

func TestFailureIsRecordedAndAcknowledged(t *testing.T) {
	b := newBench(t)
	b.files.refuse = &ivd.Error{Kind: ivd.Denied, Op: "open disk", Err: errors.New("no rights"), Remedy: "give them"}
	b.start("mover-1", 1, pipeline.Limits{})
	j := b.job(diskID, 1<<20)
	b.publish(j)
	rec := b.wait(j, state(job.Failed))
	if rec.Failure == nil || rec.Failure.Kind != ivd.Denied || rec.Failure.Remedy != "give them" || rec.Attempt != 1 || rec.Lost != 0 {
		t.Fatalf("record %+v, failure %+v", rec, rec.Failure)
	}
	// It is off the queue: only another attempt is done.
	b.files.mu.Lock()
	b.files.refuse = nil
	opens := b.files.opens
	b.files.mu.Unlock()
	b.newDisk(diskID, 1<<20, 4)
	k := b.job(diskID, 1<<20)
	k.ID = "j0002"
	b.publish(k)
	b.wait(k, state(job.Done))
	if b.files.opens != opens+1 {
		t.Errorf("the disk was opened %d times after the failure", b.files.opens-opens)
	}
}

func TestWrongCapacityFailsTheJob(t *testing.T) {
	b := newBench(t)
	b.newDisk(diskID, 2<<20, 5)
	b.start("mover-1", 1, pipeline.Limits{})
	j := b.job(diskID, 1<<20)
	b.publish(j)
	if rec := b.wait(j, state(job.Failed)); rec.Failure.Kind != ivd.Permanent {
		t.Fatalf("failure %+v", rec.Failure)
	}
}

func TestJobThatTakesMoversDownIsGivenUp(t *testing.T) {
	b := newBench(t)
	j := b.job(diskID, 1<<20)
	b.publish(j)
	rec, rev, err := b.queue.JobRecord(t.Context(), j.Run, j.Disk.Ref.ID(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	rec.State, rec.Attempt, rec.Lost, rec.Mover = job.Running, 7, maxLost, "mover-9"
	if _, err := b.queue.UpdateJobRecord(t.Context(), rec, rev); err != nil {
		t.Fatal(err)
	}
	b.start("mover-1", 1, pipeline.Limits{})
	rec = b.wait(j, state(job.Failed))
	if rec.Failure.Kind != ivd.Permanent || rec.Attempt != 7 || b.files.opens != 0 {
		t.Fatalf("record %+v, failure %+v, %d opens", rec, rec.Failure, b.files.opens)
	}
}

// A job that was cancelled while it ran is dropped, and its disk closed, long
// before its next checkpoint.
func TestCancelledJobIsDropped(t *testing.T) {
	b := newBench(t)
	const size = 64 << 20
	b.newDisk(diskID, size, 6)
	j := b.job(diskID, size)
	m := b.start("mover-1", 1, pipeline.Limits{})
	hold := make(chan struct{})
	b.files.onOpen = func() { <-hold }
	b.publish(j)
	b.wait(j, state(job.Running))
	rec, rev, err := b.queue.JobRecord(t.Context(), j.Run, j.Disk.Ref.ID(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	rec.State, rec.Failure = job.Failed, &ivd.Failure{Kind: ivd.Cancelled, Message: "stopped"}
	if _, err := b.queue.UpdateJobRecord(t.Context(), rec, rev); err != nil {
		t.Fatal(err)
	}
	close(hold)
	deadline, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if free := m.waitFree(deadline); free != 1 {
		t.Fatal("the mover still holds the job")
	}
	if now, _, err := b.queue.JobRecord(t.Context(), j.Run, j.Disk.Ref.ID(), j.ID); err != nil || now.State != job.Failed || now.Failure.Kind != ivd.Cancelled {
		t.Fatalf("the record became %+v, %v", now, err)
	}
}

func TestForeignAndLateJobsGoBack(t *testing.T) {
	b := newBench(t)
	b.newDisk(diskID, 1<<20, 7)
	short, err := b.repo.OpenLease(t.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Owner: "test", Life: repo.Margin + leaseNeed/2})
	if err != nil {
		t.Fatal(err)
	}
	foreign, late, good := b.job(diskID, 1<<20), b.job(diskID, 1<<20), b.job(diskID, 1<<20)
	foreign.ID, foreign.Repository = "foreign", "00000000-0000-4000-8000-000000000000"
	late.ID, late.Lease = "late", short.ID
	for _, j := range []job.Job{foreign, late, good} {
		b.publish(j)
	}
	b.start("mover-1", 1, pipeline.Limits{})
	b.wait(good, state(job.Done))
	for _, j := range []job.Job{foreign, late} {
		rec, _, err := b.queue.JobRecord(t.Context(), j.Run, j.Disk.Ref.ID(), j.ID)
		if err != nil || rec.State != job.Queued || rec.Attempt != 0 {
			t.Errorf("%s: %+v, %v", j.ID, rec, err)
		}
	}
}

// A job whose lease is over does not go round and round: its record says so, and its
// message is off the queue. A run that lives has it done under its next lease.
func TestJobWhoseLeaseIsOver(t *testing.T) {
	b := newBench(t)
	b.newDisk(diskID, 1<<20, 7)
	j := b.job(diskID, 1<<20)
	j.Lease = ivd.NewLeaseID()
	b.publish(j)
	b.start("mover-1", 1, pipeline.Limits{})
	rec := b.wait(j, state(job.Failed))
	if rec.Failure == nil || rec.Failure.Kind != ivd.Expired || rec.Attempt != 1 || rec.Lost != 0 {
		t.Fatalf("%+v, failure %+v", rec, rec.Failure)
	}
	_, rev, err := b.queue.JobRecord(t.Context(), j.Run, j.Disk.Ref.ID(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	rec.State, rec.Failure, rec.Lease = job.Queued, nil, b.lease.ID
	if _, err := b.queue.UpdateJobRecord(t.Context(), rec, rev); err != nil {
		t.Fatal(err)
	}
	if err := b.queue.Publish(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	b.wait(j, state(job.Done))
}

func TestRequestsAreAnswered(t *testing.T) {
	b := newBench(t)
	b.newDisk(diskID, 1<<20+512, 8)
	b.start("mover-1", 1, pipeline.Limits{})
	ask := func(op job.Op) job.Reply {
		t.Helper()
		var last error
		for range 50 { // until it listens
			reply, err := b.queue.Ask(t.Context(), "mover-1", job.Request{
				Version: job.Version, Op: op, Run: "run-1", Identity: "ivdmover",
				Disk: job.IVD(ivd.NewDiskRef("lab", "datastore-1", diskID)),
			})
			if err == nil {
				return reply
			}
			last = err
			_ = pause.For(t.Context(), 50*time.Millisecond)
		}
		t.Fatal(last)
		return job.Reply{}
	}
	if r := ask(job.Inspect); r.Failure != nil || r.Capacity != 1<<20+512 || r.Transport != "file" {
		t.Errorf("inspect: %+v", r)
	}
	if r := ask(job.PrepareAccess); r.Failure == nil || r.Failure.Kind != ivd.Denied {
		t.Errorf("prepare: %+v", r)
	}
	if r := ask(job.EndAccess); r.Failure != nil {
		t.Errorf("end: %+v", r.Failure)
	}
	if r := ask("dance"); r.Failure == nil || r.Failure.Kind != ivd.Unsupported {
		t.Errorf("an unknown request: %+v", r)
	}
	if want := []job.Op{job.PrepareAccess, job.EndAccess}; !slices.Equal(b.files.access, want) {
		t.Errorf("calls %v", b.files.access)
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		err  error
		want verdict
	}{
		{nil, ack},
		{errForget, ack},
		{fmt.Errorf("checkpoint: %w", errLost), drop},
		{pipeline.ErrStopped, back},
		{errEnded, back},
		{fmt.Errorf("%w: no lease", errLater), wait},
		{fmt.Errorf("%w: gone", errOver), expired},
		{fmt.Errorf("%w, mover m: locked", errHeld), held},
		{&ivd.Error{Kind: ivd.Transient, Err: disk.ErrYielded}, back},
		{ivd.Errorf(ivd.Transient, "network"), failed},
		{ivd.Errorf(ivd.Conflict, "of something else"), failed},
		{errors.New("what"), failed},
	} {
		if got := judge(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

// What keeps all jobs waiting is one fact, and one line of the log.
func TestWithheldSecretIsSaidOnce(t *testing.T) {
	b := newBench(t)
	said := new(lines)
	b.log = slog.NewTextHandler(said, nil)
	b.files.refuse = &ivd.Error{Kind: ivd.Withheld, Err: errors.New("the secret was refused"), Remedy: "write it"}
	m := b.start("mover-1", 2, pipeline.Limits{})
	for n := range 6 {
		j := b.job(id(n), 1<<20)
		b.publish(j)
		if rec := b.wait(j, state(job.Failed)); rec.Failure.Kind != ivd.Withheld {
			t.Errorf("%+v", rec.Failure)
		}
	}
	b.end(m)
	if n := said.count("the secret was refused"); n != 1 {
		t.Errorf("%d lines of it, want one", n)
	}
}
