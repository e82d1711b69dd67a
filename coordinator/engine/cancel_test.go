package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// engine.Cancelled at any step a disk leaves nothing behind: no snapshot, no access that
// is not ended, no job, no ledger entry, no lease. What was cancelled after its
// commit has begun is done.
func TestCancelAtEachStep(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		step engine.Step
		stop func(b *coordtest.Bench, m *coordtest.Puppet, reached, goOn chan struct{})
		want engine.State
	}{
		{"waiting", engine.Waiting, func(_ *coordtest.Bench, m *coordtest.Puppet, reached, _ chan struct{}) { close(reached) }, engine.Cancelled},
		{"before the snapshot", engine.Preparing, func(b *coordtest.Bench, _ *coordtest.Puppet, reached, goOn chan struct{}) {
			// It never reaches vCenter: a snapshot that comes late is another test's.
			b.Wire.HoldAt("VStorageObjectCreateSnapshot_Task", reached, goOn, errors.New("nobody waits any more"))
		}, engine.Cancelled},
		{"after the snapshot", engine.Preparing, func(b *coordtest.Bench, _ *coordtest.Puppet, reached, goOn chan struct{}) {
			b.Wire.HoldAt("RetrieveSnapshotDetails", reached, goOn, nil)
		}, engine.Cancelled},
		{"moving", engine.Moving, func(_ *coordtest.Bench, m *coordtest.Puppet, reached, goOn chan struct{}) {
			m.Set(func(p *coordtest.Puppet) {
				p.Work = func(ctx context.Context, _ job.Record) error {
					close(reached)
					<-goOn
					return errors.New("stopped")
				}
			})
		}, engine.Cancelled},
		{"cleaning", engine.Cleaning, func(b *coordtest.Bench, _ *coordtest.Puppet, reached, goOn chan struct{}) {
			b.Wire.HoldAt("DeleteSnapshot_Task", reached, goOn, nil)
		}, engine.Done},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			d := b.Disk("a", 8)
			s := watching(b, "one")
			reached, goOn := make(chan struct{}), make(chan struct{})
			if c.step == engine.Waiting {
				s.Engine.SetFleet(0)
			}
			m := b.Mover("m1")
			c.stop(b, m, reached, goOn)
			id := b.Begin(s, backup.Request{All: true}).ID
			select {
			case <-reached:
			case <-time.After(time.Minute):
				t.Fatal("never came so far")
			}
			b.Until(s, id, coordtest.AtStep(c.step))
			b.Must(s.Engine.Cancel(t.Context(), id))
			close(goOn)
			v := b.Until(s, id, coordtest.Ended)
			if v.State != c.want || v.Items[0].Result != c.want || !v.Cancel {
				t.Errorf("the run is %s, the disk %s: %+v", v.State, v.Items[0].Result, v.Items[0].Failure)
			}
			if got := len(b.Points(d.Ref.ID())); (got == 1) != (c.want == engine.Done) {
				t.Errorf("%d points", got)
			}
			if p, e := m.Times(job.PrepareAccess), m.Times(job.EndAccess); p > 0 && e == 0 {
				t.Errorf("prepared %d times, ended %d times", p, e)
			}
			b.NothingLeft(d)
			if n := b.Leases(); n != 0 {
				t.Errorf("%d leases are left", n)
			}
			recs, err := b.Queue.JobRecords(t.Context(), id)
			if err != nil || len(recs) != 0 {
				t.Errorf("jobs %v, %v", recs, err)
			}
			if err := s.Engine.Cancel(t.Context(), id); ivd.KindOf(err) != ivd.Unmet {
				t.Errorf("a run that is over is cancelled: %v", err)
			}
		})
	}
}

// A request to cancel that another coordinator took reaches the owner through the
// bucket; disks that are done stay done.
func TestCancelThroughTheBucket(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	first := b.Disk("first", 8)
	b.Disk("second", 8)
	m := b.Mover("m1")
	m.Set(func(p *coordtest.Puppet) {
		p.Work = func(ctx context.Context, rec job.Record) error {
			if rec.Disk != first.Ref.ID() {
				<-ctx.Done()
			}
			return nil
		}
	})
	one, _ := b.Serving("one")
	id := b.Begin(one, backup.Request{All: true}).ID
	b.Until(one, id, func(v engine.View) bool {
		return b.Item(v, "first").Step == engine.Ended && b.Item(v, "second").Step == engine.Moving
	})
	two := b.Coordinator("two")
	b.Must(two.Engine.Cancel(t.Context(), id))
	b.Must(one.Engine.Beat(t.Context(), id)) // as the owner does every few seconds
	v := b.Until(one, id, coordtest.Ended)
	if v.State != engine.Cancelled || b.Item(v, "first").Result != engine.Done || b.Item(v, "second").Result != engine.Cancelled {
		t.Errorf("%s: %+v", v.State, v.Items)
	}
	if len(b.Points(first.Ref.ID())) != 1 {
		t.Error("the disk that was done has no point")
	}
}
