package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// A disk that fails for good does not fail the others.
func TestOneDiskFailsAndTheOthersAreDone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	bad := b.disk("bad", 8)
	good := b.disk("good", 8)
	m := b.mover("m1")
	m.set(func(p *puppet) {
		p.work = func(_ context.Context, rec job.Record) error {
			if rec.Disk == bad.Ref.ID() {
				return ivd.Errorf(ivd.Corrupt, "the disk is damaged")
			}
			return nil
		}
	})
	s, _ := b.serving("one")
	v := b.until(s, b.backup(s, BackupRequest{All: true}).ID, ended)
	if v.State != Partial || v.Disks[0].Result != Failed || v.Disks[1].Result != Done {
		t.Errorf("%s: %+v", v.State, v.Disks)
	}
	if f := v.Disks[0].Failure; f == nil || f.Kind != ivd.Permanent {
		t.Errorf("failure %+v", f)
	}
	if m.times(job.EndAccess) != 2 {
		t.Errorf("access was ended %d times", m.times(job.EndAccess))
	}
	if len(b.points(bad.Ref.ID())) != 0 || len(b.points(good.Ref.ID())) != 1 {
		t.Error("points of the wrong disks")
	}
	b.nothingLeft(bad)
	b.nothingLeft(good)
}

// What may pass is tried again, by the same or another mover.
func TestTransientFailureOfAJobIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	m := b.mover("m1")
	m.set(func(p *puppet) {
		p.work = func(_ context.Context, rec job.Record) error {
			if rec.Attempt < 3 {
				return ivd.Errorf(ivd.Transient, "the host is away")
			}
			return nil
		}
	})
	s, _ := b.serving("one")
	v := b.until(s, b.backup(s, BackupRequest{All: true}).ID, ended)
	if v.State != Done || len(m.began()) != 3 {
		t.Errorf("%s after %d attempts", v.State, len(m.began()))
	}
	if d := v.Disks[0]; d.Retries != 2 || d.Retried != "the host is away" {
		t.Errorf("the record tells of %d retries after %q", d.Retries, d.Retried)
	}
	b.nothingLeft(d)
}

// After the last attempt the job's reason is the disk's.
func TestLook(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.service("one")
	rec := job.Record{Version: job.Version, ID: "j0001", Run: "r", Disk: "11111111-1111-4111-8111-111111111111", State: job.Failed, Mover: "m7"}
	look := func(attempt int, kind ivd.Kind) (time.Time, bool, error) {
		rec.Attempt, rec.Failure = attempt, &ivd.Failure{Kind: kind, Message: "no"}
		a := s.newActive(Run{ID: "r"}, 0, leaseFor(time.Hour))
		a.putJob(rec)
		d := Disk{Version: Version, Run: "r", Ref: ivd.NewDiskRef("", "", rec.Disk), Jobs: []ivd.JobID{"j0001"}}
		rev, err := b.queue.State().Put(t.Context(), diskKey(d), d)
		b.must(err)
		task := &task{s: s, run: a, log: s.Log, rec: d, rev: rev}
		return task.look(t.Context(), map[ivd.JobID]time.Time{})
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
	b := newBench(t)
	s := b.service("one")
	ref := ivd.NewDiskRef("lab", "", "11111111-1111-4111-8111-111111111111")
	rec := job.Record{Version: job.Version, ID: "j0001", Run: "r", Disk: ref.ID(), State: job.Failed, Attempt: 1}
	b.must(b.queue.CreateJobRecord(t.Context(), rec))
	a := s.newActive(Run{ID: "r"}, 0, leaseFor(time.Hour))
	task := &task{s: s, run: a, log: s.Log, published: true, rec: Disk{Run: "r", Ref: ref, Jobs: []ivd.JobID{rec.ID}}}
	task.jobs = map[ivd.JobID]job.Job{} // what the queue refuses stands for a queue that is away
	if err := task.requeue(t.Context(), rec.ID); err == nil || task.published {
		t.Fatalf("a message that was not sent counts as sent: %v", err)
	}
	task.jobs[rec.ID] = job.Job{Version: job.Version, Kind: job.Backup, Class: job.AnyClass, ID: rec.ID, Run: "r", Disk: ref}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	moved := make(chan error)
	go func() { moved <- task.move(ctx) }()
	got, err := b.queue.Jobs(job.Backup).Fetch(ctx, 1)
	if err != nil || got[0].Job.ID != rec.ID {
		t.Fatalf("%v, %v", got, err)
	}
	stop()
	if err := <-moved; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Access that could be prepared for some of a disk's VMs only is ended before it is
// tried again, and once more when the disk has ended, whichever way.
func TestAccessThatFailsIsEndedAtOnce(t *testing.T) {
	t.Parallel()
	for kind, want := range map[ivd.Kind][]job.Op{
		ivd.Transient: {job.PrepareAccess, job.EndAccess, job.PrepareAccess, job.Inspect, job.EndAccess},
		ivd.Denied:    {job.PrepareAccess, job.EndAccess, job.EndAccess},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			d := b.disk("a", 8)
			m := b.mover("m1")
			var failed atomic.Bool
			m.set(func(p *puppet) {
				p.answer = func(r job.Request) error {
					if r.Op == job.PrepareAccess && !failed.Swap(true) {
						return ivd.Errorf(kind, "the second VM is away")
					}
					return nil
				}
			})
			s, _ := b.serving("one")
			v := b.until(s, b.backup(s, BackupRequest{All: true}).ID, ended)
			if (v.State == Done) != kind.Retry() {
				t.Errorf("%s: %+v", v.State, v.Disks[0].Failure)
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			if !slices.Equal(m.asked, want) {
				t.Errorf("asked were %v, want %v", m.asked, want)
			}
			b.nothingLeft(d)
		})
	}
}

// A run does not wait for ever for movers that refuse its lease.
func TestRunThatOutlivesItsLease(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.service("one")
	a := s.newActive(Run{ID: "r"}, 0, leaseFor(time.Hour))
	now := time.Now()
	if err := a.lasts(now); err != nil {
		t.Errorf("with an hour left: %v", err)
	}
	if err := a.lasts(now.Add(45 * time.Minute)); ivd.KindOf(err) != ivd.Permanent || ivd.RemedyOf(err) == "" {
		t.Errorf("within the margin: %v", err)
	}
}

// Each question goes to the mover with the most room, and to the next where that
// one is gone or could not; what fails for good is not asked of all.
func TestAsk(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.service("one")
	q := job.Request{Op: job.PrepareAccess, Run: "r", Disk: ivd.NewDiskRef("lab", "", "11111111-1111-4111-8111-111111111111")}
	if _, err := s.ask(t.Context(), q); ivd.KindOf(err) != ivd.Transient {
		t.Errorf("without movers: %v", err)
	}
	b.must(b.queue.Beat(t.Context(), job.Mover{Version: job.Version, Name: "gone", Process: "x", Beat: 1, Handles: 9, Free: 9}))
	var asked atomic.Int64
	var kind ivd.Kind
	for i := range 5 {
		b.mover(fmt.Sprintf("m%d", i)).set(func(p *puppet) {
			p.answer = func(job.Request) error {
				if n := asked.Add(1); kind == ivd.Transient && n == 2 {
					return nil
				}
				return ivd.Errorf(kind, "no")
			}
		})
	}
	for _, c := range []struct {
		kind  ivd.Kind
		asked int64
		fails bool
	}{{ivd.Transient, 2, false}, {ivd.Locked, askedMovers - 1, true}, {ivd.Denied, 1, true}} {
		asked.Store(0)
		kind = c.kind
		if _, err := s.ask(t.Context(), q); (err != nil) != c.fails || asked.Load() != c.asked {
			t.Errorf("%s: %d were asked, %v", c.kind, asked.Load(), err)
		}
	}
}

// A mover that has fallen silent counts no more, long before its heartbeat goes.
func TestSilentMoverDoesNotCount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, clock := b.service("one"), &skipped{}
	s.now = clock.now
	beat := func(n uint64) {
		b.must(b.queue.Beat(t.Context(), job.Mover{Version: job.Version, Name: "m", Process: "x", Beat: n, Handles: 8, Free: 8}))
		b.must(s.countFleet(t.Context()))
	}
	fleet := func() int {
		s.gate.mu.Lock()
		defer s.gate.mu.Unlock()
		return s.gate.limits.Fleet
	}
	beat(1)
	if fleet() != 10 {
		t.Errorf("fleet %d", fleet())
	}
	clock.advance(silentMover + time.Second)
	b.must(s.countFleet(t.Context()))
	if fleet() != 0 {
		t.Errorf("fleet %d with a silent mover", fleet())
	}
	beat(2)
	if fleet() != 10 {
		t.Errorf("fleet %d after its return", fleet())
	}
}

// A vCenter that is away for a moment at any step costs time only.
func TestVCenterAwayForAMoment(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"VStorageObjectCreateSnapshot_Task", "RetrieveSnapshotDetails", "DeleteSnapshot_Task"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			d := b.disk("a", 8)
			b.mover("m1")
			var calls atomic.Int64
			b.wire.intercept(func(m, _ string) error {
				if m == method && calls.Add(1) == 1 {
					return errors.New("away")
				}
				return nil
			})
			s, _ := b.serving("one")
			v := b.until(s, b.backup(s, BackupRequest{All: true}).ID, ended)
			if v.State != Done || calls.Load() < 2 {
				t.Errorf("%s after %d calls: %+v", v.State, calls.Load(), v.Disks[0].Failure)
			}
			if told := v.Disks[0].Retries > 0 && strings.Contains(v.Disks[0].Retried, "503"); told == (method == "DeleteSnapshot_Task") {
				t.Errorf("the record tells of %d retries after %q", v.Disks[0].Retries, v.Disks[0].Retried)
			}
			b.nothingLeft(d)
		})
	}
}
