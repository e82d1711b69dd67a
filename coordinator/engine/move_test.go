package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// After the last attempt the job's reason is the item's.
func TestLook(t *testing.T) {
	t.Parallel()
	e := insideEngine(t)
	rec := job.Record{Version: job.Version, ID: "j0001", Run: "r", Disk: "11111111-1111-4111-8111-111111111111", State: job.Failed, Mover: "m7"}
	look := func(attempt int, kind ivd.Kind) (time.Time, bool, error) {
		rec.Attempt, rec.Failure = attempt, &ivd.Failure{Kind: kind, Message: "no"}
		d := e.newDriver(Run{ID: "r"}, 0, leaseFor(time.Hour))
		d.putJob(rec)
		it := Item{Version: Version, Run: "r", Key: "item", Disk: rec.Disk, Jobs: []ivd.JobID{"j0001"}}
		rev, err := e.Queue.State().Put(t.Context(), itemKey(it.Run, it.Key), it)
		if err != nil {
			t.Fatal(err)
		}
		return taskOf(d, it, rev).g.look(t.Context(), map[jobKey]time.Time{})
	}
	if wake, done, err := look(1, ivd.Transient); err != nil || done || time.Until(wake) > 2*time.Second || wake.IsZero() {
		t.Errorf("a first failure: wake at %s, %v, %v", wake, done, err)
	}
	if _, _, err := look(jobAttempts, ivd.Transient); ivd.KindOf(err) != ivd.Permanent {
		t.Errorf("the last attempt: %v", err)
	}
	if _, _, err := look(1, ivd.Denied); ivd.KindOf(err) != ivd.Permanent {
		t.Errorf("a failure that stays: %v", err)
	}
}

// A message that could not be sent after its record was stored is sent later.
func TestJobWhoseMessageWasNotSent(t *testing.T) {
	t.Parallel()
	e := insideEngine(t)
	ref := ivd.NewDiskRef("lab", "", "11111111-1111-4111-8111-111111111111")
	rec := job.Record{Version: job.Version, ID: "j0001", Run: "r", Disk: ref.ID(), State: job.Failed, Attempt: 1}
	if err := e.Queue.CreateJobRecord(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	d := e.newDriver(ownRun(t, e, nil), 0, leaseFor(time.Hour))
	task := taskOf(d, Item{Run: "r", Key: "item", Step: Moving, Disk: ref.ID(), Jobs: []ivd.JobID{rec.ID}}, 0)
	task.published = true
	task.jobs = map[ivd.JobID]job.Job{} // what the queue refuses stands for a queue that is away
	if err := task.requeue(t.Context(), rec.ID); err == nil || task.published {
		t.Fatalf("a message that was not sent counts as sent: %v", err)
	}
	task.jobs[rec.ID] = job.Job{Version: job.Version, Kind: job.Backup, Class: job.AnyClass, ID: rec.ID, Run: "r", Disk: job.IVD(ref)}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	moved := make(chan error)
	go func() { moved <- task.g.move(ctx) }()
	got, err := e.Queue.Jobs(job.Backup).Fetch(ctx, 1)
	if err != nil || got[0].Job.ID != rec.ID {
		t.Fatalf("%v, %v", got, err)
	}
	stop()
	if err := <-moved; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// ownRun is a run that is stored as this engine's, but for what is changed.
func ownRun(t *testing.T, e *Engine, change func(*Run)) Run {
	t.Helper()
	r := Run{Version: Version, ID: "r", Owner: e.Instance, OwnerRun: e.start, Lease: "l"}
	if change != nil {
		change(&r)
	}
	if _, err := e.Queue.State().Put(t.Context(), runKey(r.ID), r); err != nil {
		t.Fatal(err)
	}
	return r
}

// Jobs are published, and published again, only of an item that is moving, and of a
// run that is stored as ours, under the lease that they carry.
func TestPublishOnlyWhatIsOurs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		run  func(*Run)
		step Step
		kind ivd.Kind
	}{
		"ours":                       {nil, Moving, ""},
		"another coordinator's":      {func(r *Run) { r.Owner = "two" }, Moving, ivd.Permanent},
		"another start's":            {func(r *Run) { r.OwnerRun = "before" }, Moving, ivd.Permanent},
		"under another lease":        {func(r *Run) { r.Lease = "other" }, Moving, ivd.Transient},
		"of an item that is closing": {nil, Closing, ivd.Permanent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := insideEngine(t)
			ref := ivd.NewDiskRef("lab", "", "11111111-1111-4111-8111-111111111111")
			j := job.Job{Version: job.Version, Kind: job.Backup, Class: job.AnyClass, ID: "j0001", Run: "r", Disk: job.IVD(ref)}
			task := taskOf(e.newDriver(ownRun(t, e, c.run), 0, leaseFor(time.Hour)), Item{Run: "r", Key: "item", Step: c.step, Disk: ref.ID(), Jobs: []ivd.JobID{j.ID}}, 0)
			task.jobs = map[ivd.JobID]job.Job{j.ID: j}
			if err := task.publish(t.Context()); ivd.KindOf(err) != c.kind {
				t.Errorf("published: %v", err)
			}
			rec, rev, err := e.Queue.JobRecord(t.Context(), "r", ref.ID(), j.ID)
			if (err == nil) != (c.kind == "") {
				t.Errorf("the job's record: %+v, %v", rec, err)
			}
			if err != nil {
				rec = job.Record{Version: job.Version, ID: j.ID, Run: "r", Disk: ref.ID()}
				if err := e.Queue.CreateJobRecord(t.Context(), rec); err != nil {
					t.Fatal(err)
				}
				if rec, rev, err = e.Queue.JobRecord(t.Context(), "r", ref.ID(), j.ID); err != nil {
					t.Fatal(err)
				}
			}
			rec.State = job.Failed
			if _, err := e.Queue.UpdateJobRecord(t.Context(), rec, rev); err != nil {
				t.Fatal(err)
			}
			if err := task.requeue(t.Context(), j.ID); ivd.KindOf(err) != c.kind {
				t.Errorf("published again: %v", err)
			}
			if rec, _, err := e.Queue.JobRecord(t.Context(), "r", ref.ID(), j.ID); err != nil || (rec.State == job.Queued) != (c.kind == "") {
				t.Errorf("afterwards the job is %s: %v", rec.State, err)
			}
		})
	}
}

// A run does not wait for ever for movers that refuse its lease, where it can have no
// other.
func TestRunThatOutlivesItsLease(t *testing.T) {
	t.Parallel()
	e := outsideQueue(t, nil)
	if err := e.newDriver(Run{ID: "r"}, 0, leaseFor(time.Hour)).lasts(t.Context()); err != nil {
		t.Errorf("with an hour left: %v", err)
	}
	e.Leases = noLeases{}
	if err := e.newDriver(Run{ID: "r"}, 0, leaseFor(15*time.Minute)).lasts(t.Context()); ivd.KindOf(err) != ivd.Permanent || ivd.RemedyOf(err) == "" {
		t.Errorf("within the margin: %v", err)
	}
}

// A step is done once more under another lease only where its own was over: a session
// that has expired is no lease.
func TestStepIsDoneAgainUnderAnotherLease(t *testing.T) {
	t.Parallel()
	expired := ivd.Errorf(ivd.Expired, "it has expired")
	for _, c := range []struct {
		over        bool
		fails, want int // steps that fail, and that are done
		kind        ivd.Kind
	}{
		{false, 2, 1, ivd.Expired},
		{true, 1, 2, ""},
		{true, 2, 2, ivd.Permanent},
	} {
		e := insideEngine(t)
		e.Leases = expiring{over: c.over}
		r, items, err := e.make(Spec{Kind: "idle", Lease: "write"})
		if err != nil {
			t.Fatal(err)
		}
		rev, err := e.store(t.Context(), r, items)
		if err != nil {
			t.Fatal(err)
		}
		done := 0
		err = e.newDriver(r, rev, leaseFor(time.Hour)).leased(t.Context(), func(context.Context) error {
			if done++; done <= c.fails {
				return expired
			}
			return nil
		})
		if done != c.want || (err == nil) != (c.kind == "") || err != nil && ivd.KindOf(err) != c.kind {
			t.Errorf("%+v: done %d times: %v", c, done, err)
		}
	}
}

// expiring are leases of which the first is over, or is not.
type expiring struct {
	leases
	over bool
}

func (l expiring) CheckLease(context.Context, ivd.LeaseID, time.Duration) error {
	if l.over {
		return ivd.Errorf(ivd.Expired, "it is over")
	}
	return nil
}

func (expiring) OpenLease(context.Context, repo.LeaseSpec) (repo.Lease, error) {
	return repo.Lease{ID: "next", Deadline: time.Now().Add(time.Hour)}, nil
}

// noLeases is a store that is away.
type noLeases struct{ leases }

func (noLeases) CheckLease(context.Context, ivd.LeaseID, time.Duration) error {
	return ivd.Errorf(ivd.Transient, "away")
}

// A change of one disk's job wakes the group that moves it, and no other.
func TestJobWakesItsGroup(t *testing.T) {
	t.Parallel()
	d := outsideQueue(t, nil).newDriver(Run{ID: "r"}, 0, leaseFor(time.Hour))
	one, two := taskOf(d, Item{Key: "one", Disk: "a"}, 0), taskOf(d, Item{Key: "two", Disk: "b"}, 0)
	d.expect(one)
	d.expect(two)
	d.putJob(job.Record{Disk: "a", ID: "j0001"})
	d.putJob(job.Record{Disk: "a", ID: "j0002"})
	if len(one.g.wake) != 1 || len(two.g.wake) != 0 {
		t.Errorf("woken: %d, %d", len(one.g.wake), len(two.g.wake))
	}
}
