package run

import (
	"context"
	"errors"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Cancelled at any step a disk leaves nothing behind: no snapshot, no access that
// is not ended, no job, no ledger entry, no lease. What was cancelled after its
// commit has begun is done.
func TestCancelAtEachStep(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		step Step
		stop func(b *bench, m *puppet, reached, goOn chan struct{})
		want State
	}{
		{"waiting", Waiting, func(_ *bench, m *puppet, reached, _ chan struct{}) { close(reached) }, Cancelled},
		{"before the snapshot", Preparing, func(b *bench, _ *puppet, reached, goOn chan struct{}) {
			// It never reaches vCenter: a snapshot that comes late is another test's.
			b.holdAt("VStorageObjectCreateSnapshot_Task", reached, goOn, errors.New("nobody waits any more"))
		}, Cancelled},
		{"after the snapshot", Preparing, func(b *bench, _ *puppet, reached, goOn chan struct{}) {
			b.holdAt("RetrieveSnapshotDetails", reached, goOn, nil)
		}, Cancelled},
		{"moving", Moving, func(_ *bench, m *puppet, reached, goOn chan struct{}) {
			m.set(func(p *puppet) {
				p.work = func(ctx context.Context, _ job.Record) error {
					close(reached)
					<-goOn
					return errors.New("stopped")
				}
			})
		}, Cancelled},
		{"cleaning", Cleaning, func(b *bench, _ *puppet, reached, goOn chan struct{}) {
			b.holdAt("DeleteSnapshot_Task", reached, goOn, nil)
		}, Done},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			d := b.disk("a", 8)
			s, _ := b.watching("one")
			reached, goOn := make(chan struct{}), make(chan struct{})
			if c.step == Waiting {
				s.gate.setFleet(0)
			}
			m := b.mover("m1")
			c.stop(b, m, reached, goOn)
			id := b.backup(s, BackupRequest{All: true}).ID
			select {
			case <-reached:
			case <-time.After(time.Minute):
				t.Fatal("never came so far")
			}
			b.until(s, id, atStep(c.step))
			b.must(s.Cancel(t.Context(), id))
			close(goOn)
			v := b.until(s, id, ended)
			if v.State != c.want || v.Disks[0].Result != c.want || !v.Cancel {
				t.Errorf("the run is %s, the disk %s: %+v", v.State, v.Disks[0].Result, v.Disks[0].Failure)
			}
			if got := len(b.points(d.Ref.ID())); (got == 1) != (c.want == Done) {
				t.Errorf("%d points", got)
			}
			if p, e := m.times(job.PrepareAccess), m.times(job.EndAccess); p > 0 && e == 0 {
				t.Errorf("prepared %d times, ended %d times", p, e)
			}
			b.nothingLeft(d)
			if n := b.leases(); n != 0 {
				t.Errorf("%d leases are left", n)
			}
			recs, err := b.queue.JobRecords(t.Context(), id)
			if err != nil || len(recs) != 0 {
				t.Errorf("jobs %v, %v", recs, err)
			}
			if err := s.Cancel(t.Context(), id); ivd.KindOf(err) != ivd.Invalid {
				t.Errorf("a run that is over is cancelled: %v", err)
			}
		})
	}
}

// holdAt holds the first call of a method up: it says so, and goes on when told, or
// ends with an error.
func (b *bench) holdAt(method string, reached, goOn chan struct{}, then error) {
	first := true
	b.wire.intercept(func(m, _ string) error {
		if m == method && first {
			first = false
			close(reached)
			<-goOn
			return then
		}
		return nil
	})
}

// A request to cancel that another coordinator took reaches the owner through the
// bucket; disks that are done stay done.
func TestCancelThroughTheBucket(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.disk("first", 8)
	b.disk("second", 8)
	m := b.mover("m1")
	m.set(func(p *puppet) {
		p.work = func(ctx context.Context, rec job.Record) error {
			if rec.Disk != first.Ref.ID() {
				<-ctx.Done()
			}
			return nil
		}
	})
	one, _ := b.serving("one")
	id := b.backup(one, BackupRequest{All: true}).ID
	b.until(one, id, func(v View) bool { return v.Disks[0].Step == Ended && v.Disks[1].Step == Moving })
	two := b.service("two")
	b.must(two.Cancel(t.Context(), id))
	a := one.find(id)
	b.must(a.update(t.Context(), func(r *Run) { r.Beat++ })) // as the owner does every few seconds
	v := b.until(one, id, ended)
	if v.State != Cancelled || v.Disks[0].Result != Done || v.Disks[1].Result != Cancelled {
		t.Errorf("%s: %+v", v.State, v.Disks)
	}
	if len(b.points(first.Ref.ID())) != 1 {
		t.Error("the disk that was done has no point")
	}
}
